# One image for all services of compose.yaml: set-up, Prefect server and workers; it also has the command line.
# Docker uses the digest; the tag is for people. docs/security.md describes how to update them.
FROM python:3.13.15-slim@sha256:7c61056e61ac89e852de05f3dc6fa51a6dd2181797bceed46aa725dd7cb2cd3b

# The same path in every container, because runs start in the folder where `prefect deploy` was run.
WORKDIR /app
ENV DO_NOT_TRACK=1

COPY requirements.lock requirements-adlfs.lock requirements-gcsfs.lock requirements-s3fs.lock ./
RUN pip install --no-cache-dir --compile --only-binary :all: --require-hashes --no-deps \
        --requirement requirements.lock

# The driver of an object store: set EXTRA=s3fs, gcsfs or adlfs in .env, or use --build-arg.
ARG EXTRA=""
RUN if [ -n "$EXTRA" ]; then \
        pip install --no-cache-dir --compile --only-binary :all: --require-hashes --no-deps \
            --requirement "requirements-$EXTRA.lock"; \
    fi

COPY . ./
RUN pip install --no-cache-dir --no-deps --no-build-isolation --editable . \
    && python -m compileall -q endpoint_history flows migrations models simulator \
    && useradd --create-home --uid 10001 history \
    && install --directory --owner history --mode 700 data

USER 10001
CMD ["endpoint-history", "--help"]
