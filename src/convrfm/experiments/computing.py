"""Steps are computed: one after the other, or several at once in processes of their own."""

import json
import os
import time
import warnings
from collections.abc import Iterator, Sequence

from joblib import Parallel, delayed, parallel_config
from joblib.externals.loky.process_executor import TerminatedWorkerError

from ..errors import InputError, InterruptedFitWarning
from ..report.versions import versions_sentence
from .experiment import Line, Step


def computed(step: Step) -> Line:
    """What a step finds, its own time and the versions it ran with.

    Raises:
        KeyboardInterrupt: if it was interrupted, also where a model kept the rounds it had: they are not the step.
    """
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("error", InterruptedFitWarning)
        try:
            numbers = step.compute()
        except InterruptedFitWarning as interrupt:
            raise KeyboardInterrupt from interrupt
    told = {"seconds": round(time.perf_counter() - start, 3), "versions": versions_sentence()}
    found: Line = json.loads(json.dumps({**step.at, **numbers, **told}))
    return found


def computed_in_turn(steps: Sequence[Step], jobs: int) -> Iterator[tuple[Step, Line]]:
    """Each step with its line, as soon as it is known; with several jobs the order is theirs, and a core's share each.

    Raises:
        InputError: if the system ends one of the processes.
    """
    if jobs == 1:
        yield from ((step, computed(step)) for step in steps)
        return
    threads = max(1, (os.cpu_count() or 1) // jobs)
    with parallel_config("loky", inner_max_num_threads=threads):
        beside = Parallel(jobs, return_as="generator_unordered", batch_size=1, pre_dispatch=jobs)
        try:
            for number, line in beside(delayed(_numbered)(number, step) for number, step in enumerate(steps)):
                yield steps[number], line
        except TerminatedWorkerError as error:
            raise InputError(
                f"the system ended one of {jobs} processes, most likely for want of memory. Finished steps are kept: "
                "repeat the command with fewer --jobs to go on."
            ) from error


def _numbered(number: int, step: Step) -> tuple[int, Line]:
    return number, computed(step)
