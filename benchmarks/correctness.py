"""What this project, dlt and git-history tell of four cases, against what was so (tests/support/correctness_cases.py).

All are fed the same bodies in the same order: we over HTTP, the others straight. Right is who tells each price of each
endpoint at each instant as it was. Ends with 1 where we are not.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path

from benchmarks import told_by_dlt, told_by_git_history, told_by_us
from benchmarks.conditions import command, empty_database, machine, scratch_database, scratch_folder, servers
from tests.support.correctness_cases import CASES, Case, Interval, differences

Teller = Callable[[Case, Path], list[Interval]]


def main(arguments: list[str] | None = None) -> None:
    """Ask all about all cases, and print what they say."""
    parser = command("correctness", __doc__)
    parser.add_argument("--case", action="append", choices=[case.name for case in CASES], help="this alone")
    given = parser.parse_args(arguments)
    right = True
    with servers(with_postgres=given.postgres) as known:
        print(f"{machine(known.values())}, {_versions()}")
        for case in CASES:
            if given.case and case.name not in given.case:
                continue
            print(f"\n{case.name}")
            for database, server in known.items():
                right &= _tell("endpoint-history", database, case, partial(_ours, server))
                for way in told_by_dlt.WAYS:
                    _tell(f"dlt, {way.name}", database, case, partial(_dlt, server, way))
            for by_git in told_by_git_history.WAYS if shutil.which("git") else ():
                _tell(f"git-history, {by_git.name}", "SQLite", case, partial(_git_history, by_git))
    if not right:
        sys.exit(1)


def _tell(name: str, database: str, case: Case, teller: Teller) -> bool:
    with scratch_folder() as folder:
        wrong = differences(teller(case, folder), case.truth)
    says = f"wrong about {len(wrong)}: {wrong[0]}" if wrong else "right"
    print(f"  {name:<50}  {database:<10}  {says}", flush=True)
    return not wrong


def _ours(server: str | None, case: Case, folder: Path) -> list[Interval]:
    with scratch_database(server) as url:
        told_by_us.keep(case, url, folder)
        return told_by_us.told_by_us(url)


def _dlt(server: str | None, way: told_by_dlt.Way, case: Case, folder: Path) -> list[Interval]:
    with empty_database(server) as url:
        return told_by_dlt.told_by_dlt(case, way, url, folder)


def _git_history(way: told_by_git_history.Way, case: Case, folder: Path) -> list[Interval]:
    return told_by_git_history.told_by_git_history(case, way, folder)


def _versions() -> str:
    return ", ".join(f"{name} {version(name)}" for name in ("dlt", "git-history"))


if __name__ == "__main__":
    main()
