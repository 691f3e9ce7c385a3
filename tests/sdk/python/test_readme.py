"""What README.md shows is run as it stands there; only the ports are this run's own."""

import os
import pathlib
import re
import subprocess
import sys

README = pathlib.Path(__file__).resolve().parents[3] / "README.md"


def block(heading, language):
    """The one block in a language below a heading."""
    section = README.read_text(encoding="utf-8").split(f"\n## {heading}\n")[1].split("\n## ")[0]
    [found] = re.findall(rf"^```{language}\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)
    return found


def test_the_python_of_connect_your_app_puts_a_file_and_gets_it():
    shown = block("Connect your app", "python")
    here = shown.replace("http://127.0.0.1:8080", os.environ["README_URL"])
    here = here.replace("http://127.0.0.1:8091", os.environ["README_OSS_URL"])
    assert here != shown

    done = subprocess.run([sys.executable, "-c", here], capture_output=True, text=True, timeout=60, check=False)

    assert (done.returncode, done.stdout) == (0, "hello\n"), done.stderr
