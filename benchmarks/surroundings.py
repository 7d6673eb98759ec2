"""What a reader of a results file must know about the run: code, date, machine class.

In:     the clone
Out:    a dict for JSON; no names of machines or people
Next:   every benchmark that writes benchmarks/results/ puts it first
"""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import datetime, timezone
from pathlib import Path
from typing import Any


def processor() -> str:
    """Return the processor's model as the kernel names it."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def surroundings(root: Path) -> dict[str, Any]:
    """Return commit, time, versions and the class of the machine."""
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=root, capture_output=True, text=True
    )
    return {
        "commit": commit.stdout.strip(),
        "when": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "cpu": processor(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
    }
