"""`python -m tests.hostile --n 2000`: hostile inputs from seeds; leaves with 1 if one gives a traceback or wrong values."""

import argparse
import resource
import sys

from .trials import run_trials

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--n", type=int, default=2000)
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--memory", type=int, default=8, help="GiB of address space, beyond which the system refuses")
arguments = parser.parse_args()
resource.setrlimit(resource.RLIMIT_AS, (arguments.memory << 30,) * 2)
outcome = run_trials(arguments.n, arguments.seed)
for (kind, result), count in sorted(outcome.counts.items()):
    print(f"{kind:22} {result:8} {count}")
print(*outcome.faults[:20], sep="\n")
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
print(f"{arguments.n} inputs, {len(outcome.faults)} faults, {peak:.2f} GiB at most")
sys.exit(bool(outcome.faults))
