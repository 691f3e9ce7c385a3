"""Runs the examples of docs/connect/python.md as printed, with the ports of this run."""

import os
import pathlib
import re
import subprocess
import sys

import pytest

PAGE = pathlib.Path(__file__).resolve().parents[3] / "docs/connect/python.md"
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def test_the_page_has_an_example_of_each_sdk():
    assert [re.search(r"^import (\w*oss\w*)", example, re.MULTILINE)[1] for example in EXAMPLES] == [
        "alibabacloud_oss_v2", "oss2",
    ]


@pytest.mark.parametrize("shown", EXAMPLES, ids=["alibabacloud-oss-v2", "oss2"])
def test_the_python_of_the_page_puts_a_file_and_gets_it(shown):
    here = shown.replace("http://127.0.0.1:8080", os.environ["README_URL"])
    assert here != shown

    done = subprocess.run([sys.executable, "-c", here], capture_output=True, text=True, timeout=60, check=False)

    assert (done.returncode, done.stdout) == (0, "hello\n"), done.stderr
