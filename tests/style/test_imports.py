"""What `import fastkafka` costs: time, and no package of a third party."""

from __future__ import annotations

import subprocess
import sys

from tests.style.project_files import ROOT

FOREIGN = ("numpy", "pyarrow", "click", "rich", "confluent_kafka", "kafka", "aiokafka", "lz4")


def test_import_brings_in_no_third_party() -> None:
    program = (
        "import sys, fastkafka; print(' '.join(sorted({m.split('.')[0] for m in sys.modules})))"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert not set(result.stdout.split()) & set(FOREIGN)
