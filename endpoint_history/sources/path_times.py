"""Dates and times in paths: found without a rule if they can be read in only one way. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from urllib.parse import unquote

from endpoint_history.sources.timestamps import in_zone, unix_time, whole_seconds

_DATE = r"(?P<year>[0-9]{4})(?P<dash>[-/_.]?)(?P<month>0[1-9]|1[0-2])(?P=dash)(?P<day>0[1-9]|[12][0-9]|3[01])"
_DAY = re.compile(rf"(?<![0-9])(?=20){_DATE}(?=[^0-9]|[0-9]{{6}}(?![0-9]))")
_CLOCK = re.compile(r"([T_ /-]?)(?:[01][0-9]|2[0-3])([-:_]?)[0-5][0-9]\2[0-5][0-9](Z?)(?![0-9])")
_HOUR, _SIXTY = r"(?P<hour>[01][0-9]|2[0-3])", "[0-5][0-9]"
_ZONE = r"(?:[.,][0-9]{1,9})?(?P<zone>Z|[+-](?:0[0-9]|1[0-4]):?(?:00|30|45)(?![0-9]))?(?![0-9])"
# A time of day follows its date at once, or in the next folder. There it needs colons, dashes, a T or a Z: six digits
# alone may be anything. Without seconds it needs a T, or both a blank or underscore and a colon or dash.
_STAMPS = tuple(
    re.compile(rf"(?<![0-9]){_DATE}{rest}{_ZONE}")
    for rest in (
        rf"[T_ -]?{_HOUR}(?P<colon>[-:_]?)(?P<minute>{_SIXTY})(?P=colon)(?P<second>{_SIXTY})",
        rf"/T?{_HOUR}(?P<colon>[-:_])(?P<minute>{_SIXTY})(?P=colon)(?P<second>{_SIXTY})",
        rf"/T{_HOUR}(?P<minute>{_SIXTY})(?P<second>{_SIXTY})",
        rf"/{_HOUR}(?P<minute>{_SIXTY})(?P<second>{_SIXTY})(?=Z)",
        rf"T{_HOUR}(?P<colon>[-:_]?)(?P<minute>{_SIXTY})(?!(?P=colon)[0-9])",
        rf"[_ ]{_HOUR}(?P<colon>[-:])(?P<minute>{_SIXTY})(?!(?P=colon)[0-9])",
    )
)
_EPOCH = re.compile(r"(?<![0-9.])[0-9]{10}(?:[0-9]{3}){0,3}(?![0-9])")
# Since there are prices of OpenRouter, and below 2033: ten digits that begin with 20 may be a date and an hour.
_EPOCHS = (datetime(2023, 1, 1, tzinfo=UTC), datetime.fromtimestamp(2_000_000_000, UTC))
_PARTITION = re.compile(r"(?:^|/)(?P<key>[A-Za-z_]+)=(?P<value>[^/]+)")
_PARTITION_DAY = re.compile(r"([0-9]{4})-?([0-9]{2})-?([0-9]{2})")
_DAY_KEYS = ("dt", "date", "ds", "day")
_CLOCK_KEYS = (("hour", "hh", "h"), ("minute", "min"), ("second", "sec"))


def time_in_name(name: str, zone: tzinfo | None = None) -> datetime | None:
    """The time in a name, such as `20260516T094711Z`, `2026-05-16_09-47-11` or `1778924831000`; None without one.

    A time that names no zone is of `zone`, else UTC. Raises ValueError if the name holds two different times.
    """
    return _only({*_stamps(name, zone), *_epochs(name)}, "name")


def time_in_folders(path: str, zone: tzinfo | None = None) -> datetime | None:
    """The same of a whole path: `2026-06-01T09-00-00/x.json`, `2026-06-01/09-00-00/x.json`, `dt=2026-06-01/hour=09/`.

    An hour that is named as one (`hour=09`) stands for its beginning; a day alone is no time. Raises ValueError.
    """
    path = unquote(path)
    folders = path.rpartition("/")[0]
    found = {*_stamps(path, zone), *_epochs(folders)} or set(_partitions(folders, zone))
    return _only(found, "path")


def days_in(path: str) -> tuple[re.Match[str], ...]:
    """Return the dates in a path, with the groups `year`, `month` and `day`; one may be the 31st of February."""
    return tuple(_DAY.finditer(path))


@lru_cache
def pattern_of(path: str) -> str | None:
    """Return a pattern that reads the last date in a path, with the time of day after it; None without a date."""
    days = days_in(path)
    if not days:
        return None
    dash = days[-1]["dash"]
    clock = _CLOCK.match(path, days[-1].end())
    time = f"{clock[1]}%H{clock[2]}%M{clock[2]}%S{clock[3]}" if clock else ""
    return f"%Y{dash}%m{dash}%d{time}"


def _only(found: set[datetime], where: str) -> datetime | None:
    if len(found) > 1:
        shown = " and ".join(f"{time:%Y-%m-%d %H:%M:%S}" for time in sorted(found)[:2])
        raise ValueError(
            f"its {where} holds several times ({shown}); say which one counts with --time, "
            f"such as --time '{where}:PATTERN', a pattern like __%Y%m%dT%H%M%SZ"
        )
    return found.pop() if found else None


def _stamps(text: str, zone: tzinfo | None) -> Iterable[datetime]:
    for form in _STAMPS:
        for match in form.finditer(text):
            part = match.groupdict()
            day = f"{part['year']}-{part['month']}-{part['day']}"
            clock = f"{part['hour']}:{part['minute']}:{part.get('second') or '00'}"
            try:
                time = datetime.fromisoformat(f"{day}T{clock}{part['zone'] or ''}")
            except ValueError:  # the 31st of February
                continue
            yield _utc(time, zone)


def _epochs(text: str) -> Iterable[datetime]:
    for match in _EPOCH.finditer(text):
        time = unix_time(int(match[0]))
        if time is not None and _EPOCHS[0] <= time < _EPOCHS[1]:
            yield time


def _partitions(folders: str, zone: tzinfo | None) -> Iterable[datetime]:
    """Yield the hour, minute or second that folders such as `year=2026/month=06/day=01/hour=09` name."""
    keys = {match["key"].lower(): match["value"] for match in _PARTITION.finditer(folders)}
    days = [match.group(1, 2, 3) for key in _DAY_KEYS if (match := _PARTITION_DAY.fullmatch(keys.get(key, "")))]
    if "year" in keys:
        days.append((keys["year"], keys.get("month", ""), keys.get("day", "")))
    clock = [next((keys[name] for name in names if name in keys), None) for names in _CLOCK_KEYS]
    if not days or clock[0] is None:
        return
    try:
        year, month, day = (int(part) for part in days[0])
        hour, minute, second = (int(part or 0) for part in clock)
        yield _utc(datetime(year, month, day, hour, minute, second), zone)  # noqa: DTZ001 - set by _utc
    except ValueError:
        return


def _utc(time: datetime, zone: tzinfo | None) -> datetime:
    return whole_seconds(time if time.tzinfo else in_zone(time, zone or UTC))
