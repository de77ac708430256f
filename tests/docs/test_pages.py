"""The runner itself: a page that lies is found out."""

import pytest
from tests.docs.pages import Known, run_console, run_python


@pytest.mark.parametrize(
    ("page", "wrong"),
    [
        ("$ echo a\na\n", 0),
        ("$ echo a\nb\n", 1),
        ("$ echo a\n", 1),
        ("$ printf 'a\\nb\\nc\\n'\na\n...\n", 0),
        ("$ false\n$ echo $?\n1\n", 0),
        ("$ false\n$ echo $?\n0\n", 1),
        ("$ false\n", 1),
        ("$ cd .. && x=1\n$ echo $x\n1\n", 0),
        ("$ cat <<'END'\n> two words\n> END\ntwo words\n", 0),
        ("$ exit\n$ echo a\na\n", 1),
    ],
)
def test_console(tmp_path, page, wrong):
    file = tmp_path / "page.md"
    file.write_text(f"```console\n{page}```\n")
    assert len(run_console(file, tmp_path)) == wrong


def test_python(tmp_path):
    file = tmp_path / "page.md"
    good = "```python\nx = 1\nx + 1\n```\n\n```text\n2\n```\n"
    file.write_text(good)
    assert run_python(file, tmp_path) == []
    file.write_text(good.replace("2", "3"))
    assert len(run_python(file, tmp_path)) == 1
    file.write_text("```python\nprint(1)\n```\n")
    assert len(run_python(file, tmp_path)) == 1


def test_numbers_stand_for_what_was_met():
    known = Known()
    assert known.compare("id 0123456789abcdef", "id fedcba9876543210") is None
    assert known.compare("0123456789ab...", "fedcba987654 and more") is None
    assert known.compare("0123456789abcdef", "0123456789abcdef") is not None
