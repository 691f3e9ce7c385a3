"""Runs the example of docs/connect/python.md as printed, with the ports of this run."""

import os
import pathlib
import re
import subprocess
import sys

PAGE = pathlib.Path(__file__).resolve().parents[3] / "docs/connect/python.md"


def block(language):
    """The only block of a language on the page."""
    [found] = re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return found


def test_the_python_of_the_page_puts_a_file_and_gets_it():
    shown = block("python")
    here = shown.replace("http://127.0.0.1:8080", os.environ["README_URL"])
    here = here.replace("http://127.0.0.1:8091", os.environ["README_OSS_URL"])
    assert here != shown

    done = subprocess.run([sys.executable, "-c", here], capture_output=True, text=True, timeout=60, check=False)

    assert (done.returncode, done.stdout) == (0, "hello\n"), done.stderr
