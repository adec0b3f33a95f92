"""What `import tensorweaver` costs beyond `import numpy`: fresh processes in turn, best of many.

python benchmarks/import_time.py
"""

from __future__ import annotations

import os
import subprocess
import sys
import time

ROUNDS = 20
GOAL = 50
# As an installed package has it: with its bytecode cached, which some environments switch off.
ENVIRONMENT = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}


def milliseconds(statement: str) -> float:
    """The time of one fresh process."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], check=True, env=ENVIRONMENT)  # noqa: S603
    return (time.perf_counter() - start) * 1e3


def main() -> None:
    """Measure and print."""
    statements = ("pass", "import numpy", "import tensorweaver")
    milliseconds(statements[-1])
    rounds = [[milliseconds(statement) for statement in statements] for _ in range(ROUNDS)]
    nothing, numpy, ours = (min(column) for column in zip(*rounds, strict=True))
    print(
        f"python alone {nothing:.0f} ms, with numpy {numpy:.0f} ms, with tensorweaver {ours:.0f} ms"
    )
    print(f"tensorweaver beyond numpy: {ours - numpy:.0f} ms (goal: at most {GOAL})")


if __name__ == "__main__":
    main()
