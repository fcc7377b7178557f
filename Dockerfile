# One image for all of compose.yaml: set-up, Prefect server, workers, and the command line.
FROM python:3.13-slim

# Runs start in the folder where `prefect deploy` was run: one path in every container.
WORKDIR /app
ENV DO_NOT_TRACK=1

COPY requirements.lock ./
RUN pip install --no-cache-dir --compile --only-binary :all: --require-hashes --no-deps \
        --requirement requirements.lock

# For an archive that lies elsewhere: EXTRA=s3fs in .env, or --build-arg. Nothing that is locked moves for it.
ARG EXTRA=""
RUN if [ -n "$EXTRA" ]; then \
        pip freeze > /tmp/locked && pip install --no-cache-dir --constraint /tmp/locked "$EXTRA" && rm /tmp/locked; \
    fi

COPY . ./
RUN pip install --no-cache-dir --no-deps --no-build-isolation --editable . \
    && python -m compileall -q analysis flows migrations models pages simulator \
    && useradd --create-home --uid 10001 history \
    && install --directory --owner history --mode 700 data

USER 10001
CMD ["endpoint-history", "--help"]
