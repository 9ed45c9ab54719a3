"""Work for several processes, on this machine or on many; the one file that knows Dask."""

import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from numbers import Integral
from typing import Any, Protocol, TypeVar, runtime_checkable

from .errors import InputError
from .optional import imported
from .quantities import counted

Item = TypeVar("Item")
Result = TypeVar("Result")
AT_ONCE = 10_000  # items that a scheduler knows of, about 2 kB each
SECONDS_TO_ANSWER = 30
MOST_ANYWHERE = 16  # processes, or as many as there are cores
DEATHS = 10  # of processes of this machine that had an item at hand; after one more it is given up


@runtime_checkable
class Workers(Protocol):
    """Processes that may come and go; what one had at hand when it went, another does again."""

    def results(self, work: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[tuple[Item, Result]]:
        """What `work` makes of every item, as soon as it is there, in any order.

        Args:
            work: is pickled, as items and results are: small, and free to be done twice.
            items: each is as much as a process may lose.

        Raises:
            InputError: if processes end again and again with the same item at hand. What `work` raises is raised here.
        """


class DaskWorkers:
    """Those of a Dask scheduler.

    Args:
        client: of it.
    """

    def __init__(self, client: Any) -> None:
        self._client = client

    def results(self, work: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[tuple[Item, Result]]:
        """As `Workers` has it; a scheduler is told of ten thousand items at a time."""
        distributed = imported("distributed", "cluster")
        for first in range(0, len(items), AT_ONCE):
            told = items[first : first + AT_ONCE]
            futures = dict(zip(self._client.map(work, told, pure=False), told, strict=True))
            try:
                for future, result in distributed.as_completed(futures, with_results=True):
                    yield futures.pop(future), result
            except distributed.KilledWorker as error:
                raise InputError(
                    "workers ended again and again with one piece of work at hand, as they do where memory is short: "
                    f"{error}. Give each of them more memory, or pass smaller tiles."
                ) from error
            finally:
                self._client.cancel(list(futures))


@contextmanager
def workers(where: int | str | None) -> Iterator[Workers | None]:
    """Have workers within it.

    Args:
        where: a number of processes of this machine, each of one thread, which end with it; the address of a Dask scheduler,
            such as "tcp://10.0.0.1:8786", whose workers stay; None for no workers.

    Raises:
        InputError: if there is no such number, or no scheduler that answers.
        MissingDependencyError: without Dask.
    """
    if where is None:
        yield None
        return
    check_workers(where)
    if not isinstance(where, str):
        with _processes_here(int(where)) as client:
            yield DaskWorkers(client)
        return
    distributed = imported("distributed", "cluster")
    try:
        client = distributed.Client(where, timeout=SECONDS_TO_ANSWER)
    except (OSError, ValueError) as error:
        raise _no_scheduler(where, error) from error
    with client:
        yield DaskWorkers(client)


def check_workers(where: int | str | None) -> None:
    """Raise `InputError` at once where there can be no workers: for no such number, and where nothing listens at an address."""
    cores = os.cpu_count() or 1
    if isinstance(where, Integral) and int(where) > (most := max(MOST_ANYWHERE, cores)):
        raise InputError(
            f"workers must be at most {most}: each is a process of one thread, and this machine has {counted(cores, 'core')}; "
            f"got {where}. Pass about as many as there are cores."
        )
    if where is None or (isinstance(where, Integral) and not isinstance(where, bool) and int(where) >= 1):
        return
    if not isinstance(where, str):
        raise InputError(f"workers must be a number of processes or the address of a Dask scheduler; got {where!r}.")
    try:
        place = imported("distributed.comm", "cluster").get_address_host_port(where)
    except ValueError:  # no address, or one that is no host and port: Dask itself will tell
        return
    try:
        socket.create_connection(place, SECONDS_TO_ANSWER).close()
    except OSError as error:
        raise _no_scheduler(where, error) from error


def _no_scheduler(where: str, error: Exception) -> InputError:
    return InputError(
        f"no Dask scheduler answers at {where} ({error}). Begin one, dask scheduler, and pass the address that it tells."
    )


@contextmanager
def _processes_here(count: int) -> Iterator[Any]:
    """The client of so many processes of one thread; Dask sets variables of the environment for them, which are put back."""
    distributed, dask = imported("distributed", "cluster"), imported("dask", "cluster")
    before = dict(os.environ)
    try:
        with (
            dask.config.set({"distributed.scheduler.allowed-failures": DEATHS}),
            _cluster(count, distributed.LocalCluster) as cluster,
            distributed.Client(cluster) as client,
        ):
            yield client
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)


def _cluster(count: int, kind: Callable[..., Any]) -> Any:
    try:
        return kind(
            n_workers=count,
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            memory_limit=0,
            silence_logs="CRITICAL",
        )
    except RuntimeError as error:
        raise InputError(
            f"the processes of workers={count} do not start ({error}). Pass fewer workers, or none.",
            in_python='In a script, put what it does under if __name__ == "__main__": every process reads it first.',
        ) from error
