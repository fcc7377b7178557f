"""The target list: what is taken, what is refused and where that stands, and what patterns mean."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from endpoint_history.errors import ConfigurationError
from endpoint_history.settings import Settings
from endpoint_history.targets import TargetList
from models.observation import Target

ROOT = Path(__file__).parent.parent
EXPECTED = "expected 'author/slug', a pattern such as 'anthropic/*', or '*'"
LISTED = ["openai/gpt-4o", "openai/o1", "anthropic/claude", "deepseek/r1", "deepseek/r1:free", "~openai/gpt-latest"]
MALFORMED = [
    "gpt-4o",
    "a/b/c",
    "../x",
    "x/..",
    "a b/c",
    " a/b",
    "a/b ",
    "a/b?x",
    "a/b#x",
    "a/%2e%2e",
    "/a/b",
    "a/",
    "/b",
    "**",
    "a/[b]",
    "é/b",
    "https://openrouter.ai/a/b",
]
BAD_FILES = [
    ('targets = ["a/b"', "{path} is not TOML: "),
    ("targets = [\na/b]", "{path} is not TOML: "),
    ('targets = ["a/b"]\ntarget = []', "{path}: 'target' is not known here; expected 'targets' and 'exclude'"),
    ('[targets]\nx = "a/b"', "{path}: 'targets' is not a list of targets"),
    ('targets = "a/b"', "{path}: 'targets' is not a list of targets"),
    ('targets = ["a/b"]\nexclude = "a/c"', "{path}: 'exclude' is not a list of targets"),
    ("targets = [1]", f"{{path}}: 1 is no target; {EXPECTED}"),
    ('targets = [["a/b"]]', f"{{path}}: ['a/b'] is no target; {EXPECTED}"),
    ("", f"{{path}}: no targets; {EXPECTED}"),
    ("targets = []", f"{{path}}: no targets; {EXPECTED}"),
    ('exclude = ["a/b"]', f"{{path}}: no targets; {EXPECTED}"),
]

_part = st.sampled_from(["a", "b", "ab", "a.1", "b:free"])
_ids = st.builds("{}/{}".format, _part, _part)
_pattern_part = st.sampled_from(["*", "a*", "*b", "*.1", "*:free", "a", "b", "ab"])
_entries = st.just("*") | _ids | st.builds("{}/{}".format, _pattern_part, _pattern_part)


def _written(folder: Path, text: str | bytes) -> Path:
    path = folder / "targets.toml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def _refusal(path: Path) -> str:
    with pytest.raises(ConfigurationError) as refused:
        TargetList.read(path)
    return str(refused.value)


def _unresolved(targets: TargetList, listed: list[str]) -> str:
    with pytest.raises(ConfigurationError) as refused:
        targets.resolve(listed)
    return str(refused.value)


def _resolved(include: list[str], exclude: list[str] | None = None, listed: list[str] | None = None) -> list[str]:
    found = TargetList(tuple(include), tuple(exclude or ())).resolve(LISTED if listed is None else listed)
    return [str(target) for target in found]


def _means(entry: str, id_: str) -> bool:
    return entry == "*" or re.fullmatch(re.escape(entry).replace(r"\*", "[^/]*"), id_) is not None


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('# "gpt-4o" is bad\ntargets = ["gpt-4o"]', 2),
        ('targets = [\n "openai/gpt-4o",\n "gpt-4o",\n]', 3),
        ("targets = [\n 'a/b',\n '',\n]", 3),
        (f'targets = [\n "{"a" * 200}/b"]', 2),
    ],
)
def test_the_line_of_a_bad_entry_is_its_own(text: str, line: int, tmp_path: Path) -> None:
    path = _written(tmp_path, text)
    assert _refusal(path).startswith(f"{path}:{line}: ")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "targets.toml"
    assert _refusal(path) == f"there is no targets file {path}; TARGETS_FILE names it"


def test_a_folder_in_place_of_the_file_is_named(tmp_path: Path) -> None:
    assert _refusal(tmp_path).startswith(f"the targets file {tmp_path} can't be read: ")


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    path = _written(tmp_path, b'targets = ["\xff/b"]')
    assert _refusal(path).startswith(f"the targets file {path} can't be read: ")


@pytest.mark.parametrize(("text", "message"), BAD_FILES)
def test_a_bad_file_is_told_with_what_was_expected(text: str, message: str, tmp_path: Path) -> None:
    path = _written(tmp_path, text)
    told = _refusal(path)
    assert told.startswith(message.format(path=path))
    assert "\n" not in told


def test_a_file_that_is_not_toml_tells_the_line(tmp_path: Path) -> None:
    assert "line 2" in _refusal(_written(tmp_path, "targets = [\na/b]"))


@pytest.mark.parametrize("entry", MALFORMED)
@pytest.mark.parametrize("key", ["targets", "exclude"])
def test_a_malformed_entry_is_told_with_its_line(key: str, entry: str, tmp_path: Path) -> None:
    others = 'targets = ["m/n"]\n' if key == "exclude" else "\n"
    path = _written(tmp_path, f"{others}{key} = [\n  {entry!r},\n]\n")
    assert _refusal(path) == f"{path}:3: {entry!r} is no target; {EXPECTED}"


@pytest.mark.parametrize("entry", ["", "a/b\n", "a\n/b"])
def test_an_odd_entry_is_told_with_its_file(entry: str, tmp_path: Path) -> None:
    escaped = entry.replace("\n", "\\n")
    told = _refusal(_written(tmp_path, f'targets = ["{escaped}"]'))
    assert told.startswith(str(tmp_path / "targets.toml"))
    assert told.endswith(f": {entry!r} is no target; {EXPECTED}")


@pytest.mark.parametrize("entry", ["", *MALFORMED])
def test_a_malformed_entry_is_refused_as_an_argument(entry: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        TargetList.given(["a/b", entry])
    assert str(refused.value) == f"target: {entry!r} is no target; {EXPECTED}"


def test_no_arguments_are_no_targets() -> None:
    with pytest.raises(ConfigurationError, match="the given targets: no targets; expected 'author/slug'"):
        TargetList.given([])


@pytest.mark.parametrize("id_", ["~openai/gpt-latest", "deepseek/deepseek-r1:free", "a/b.1", "A/b@2+c_d-e", "0/1"])
def test_odd_slugs_are_taken_as_they_are(id_: str, tmp_path: Path) -> None:
    targets = TargetList.read(_written(tmp_path, f'targets = ["{id_}"]'))
    assert targets.resolve() == [Target(*id_.split("/"))]


@pytest.mark.parametrize(
    ("include", "exclude", "expected"),
    [
        (["*"], [], sorted(LISTED, key=lambda id_: id_.split("/"))),
        (["*"], ["~*/*"], ["anthropic/claude", "deepseek/r1", "deepseek/r1:free", "openai/gpt-4o", "openai/o1"]),
        (["openai/*"], [], ["openai/gpt-4o", "openai/o1"]),
        (["openai/*"], ["openai/o1"], ["openai/gpt-4o"]),
        (["*/*:free"], [], ["deepseek/r1:free"]),
        (["deepseek/*"], ["*/*:free"], ["deepseek/r1"]),
        (["deepseek/r1"], [], ["deepseek/r1"]),
        (["not/listed", "openai/o*"], [], ["not/listed", "openai/o1"]),
        (["openai/o1", "openai/o1", "openai/*"], [], ["openai/gpt-4o", "openai/o1"]),
        (["openai/o1"], ["nothing/*"], ["openai/o1"]),
    ],
)
def test_patterns_and_excludes_resolve(include: list[str], exclude: list[str], expected: list[str]) -> None:
    assert _resolved(include, exclude) == expected


def test_the_file_gives_both_includes_and_excludes(tmp_path: Path) -> None:
    path = _written(tmp_path, 'targets = ["openai/*"]\nexclude = ["openai/o1"]  # dear\n')
    assert TargetList.read(path) == TargetList(("openai/*",), ("openai/o1",), str(path))


@pytest.mark.parametrize("id_", ["plain", "a/b/c", "a/b c", "../x", ""])
def test_a_listed_id_that_is_no_pair_is_left_out(id_: str) -> None:
    assert _resolved(["*"], listed=[id_, "a/b"]) == ["a/b"]


def test_a_pattern_that_matches_nothing_is_named() -> None:
    targets = TargetList(("openai/*", "opnai/*"), origin="targets.toml")
    assert _unresolved(targets, LISTED) == (
        "targets.toml: 'opnai/*' matches none of the 6 listed models; did you mean 'openai/*'?"
    )


def test_an_exclude_that_leaves_nothing_is_told() -> None:
    targets = TargetList(("openai/*", "a/b"), ("openai/*", "a/b"), "targets.toml")
    assert _unresolved(targets, LISTED) == "targets.toml: 'exclude' leaves no target"


@pytest.mark.parametrize(
    ("include", "needed"), [(["a/b", "c/d"], False), (["*"], True), (["a/b", "c/*"], True), (["~a/b:free"], False)]
)
def test_only_patterns_need_the_listing(include: list[str], needed: bool) -> None:
    assert TargetList(tuple(include), ("*",)).needs_listing is needed


@given(st.lists(_entries, min_size=1, max_size=4), st.lists(_entries, max_size=3), st.lists(_ids, max_size=12))
def test_targets_are_those_included_but_not_excluded(include: list[str], exclude: list[str], listed: list[str]) -> None:
    plain = {entry for entry in include if "*" not in entry}
    empty = [entry for entry in include if "*" in entry and not any(_means(entry, id_) for id_ in listed)]
    meant = {id_ for id_ in {*listed, *plain} if id_ in plain or any(_means(entry, id_) for entry in include)}
    kept = {id_ for id_ in meant if not any(_means(entry, id_) for entry in exclude)}
    targets = TargetList(tuple(include), tuple(exclude))
    if empty or not kept:
        assert (empty[0] if empty else "leaves no target") in _unresolved(targets, listed)
    else:
        assert targets.resolve(listed) == sorted(Target.parse(id_) for id_ in kept)


def test_the_example_means_what_no_targets_file_means() -> None:
    example, default = TargetList.read(ROOT / "targets.example.toml"), TargetList.configured(Settings())
    assert (example.include, example.exclude) == (default.include, default.exclude)
    found = [str(target) for target in default.resolve([*LISTED, "openrouter/auto"])]
    assert found == ["anthropic/claude", "deepseek/r1", "deepseek/r1:free", "openai/gpt-4o", "openai/o1"]


def test_a_targets_file_beside_goes_before_the_default(tmp_path: Path) -> None:
    _written(tmp_path, 'targets = ["a/b"]')
    assert TargetList.configured(Settings()).include == ("a/b",)


def test_a_targets_file_that_is_named_must_be_there() -> None:
    with pytest.raises(ConfigurationError, match=r"no targets file mine\.toml; TARGETS_FILE names it"):
        TargetList.configured(Settings(targets_file=Path("mine.toml")))
