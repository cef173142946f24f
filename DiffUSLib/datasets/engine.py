"""Makes a data set with Dask: on this machine, on a scheduler that runs, or through a cluster's queue."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import dask
from dask.distributed import Client, KilledWorker, LocalCluster, as_completed

from DiffUSLib.datasets.cohort import case_path, make_case
from DiffUSLib.datasets.recipe import Recipe
from DiffUSLib.datasets.shards import abandon, begin, is_made, make_shard, remove_leftovers
from DiffUSLib.errors import DiffUSError
from DiffUSLib.io.extras import optional

QUEUES = {"slurm": "SLURMCluster", "pbs": "PBSCluster"}
_CONNECT_S = 15
_KEPT_BYTES = 2**25
"""As much as the C library of Linux allows."""
_RETRIES = 3
"""A shard is given to another worker so often when one fails."""


@dataclass(frozen=True)
class Progress:
    """Where the making stands.

    Args:
        shards, frames: that are there.
        all_shards, all_frames: that will be.
        new_frames: that this run has made.
    """

    shards: int
    frames: int
    all_shards: int
    all_frames: int
    new_frames: int


@contextlib.contextmanager
def connected(workers: int | None = None, scheduler: str | None = None) -> Iterator[Client]:
    """A Dask client: of processes here by default, of a scheduler that runs, or of jobs in a queue.

    Args:
        workers: processes or jobs; by default one for each core, or one job.
        scheduler: address such as "tcp://node1:8786", or "slurm" or "pbs": the sizes of jobs come from Dask's own
            configuration files.

    Raises:
        DiffUSError: if the scheduler cannot be reached, or dask-jobqueue is missing or not configured.
    """
    with contextlib.ExitStack() as stack:
        if scheduler in QUEUES:
            cluster = stack.enter_context(_queued(QUEUES[scheduler], scheduler, workers or 1))
        elif scheduler is None:
            cluster = stack.enter_context(_local(workers))
        elif workers is not None:
            raise DiffUSError(f"the scheduler {scheduler} brings its own workers; leave --workers out.")
        else:
            cluster = scheduler
        try:
            client = stack.enter_context(Client(cluster, timeout=_CONNECT_S))
        except (OSError, ValueError) as error:
            raise DiffUSError(
                f"the scheduler {scheduler or 'of this machine'} cannot be reached ({_first_line(error)}); give its "
                f"address as tcp://HOST:PORT, or {' or '.join(QUEUES)}."
            ) from None
        yield client


def _local(workers: int | None) -> LocalCluster:
    # Dask has workers give freed memory back at once; images of a batch would get theirs anew page by page.
    keep_memory = {"distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": _KEPT_BYTES}
    keep_memory["distributed.nanny.pre-spawn-environ.MALLOC_MMAP_THRESHOLD_"] = _KEPT_BYTES
    try:
        with dask.config.set(keep_memory):
            return LocalCluster(
                n_workers=workers, threads_per_worker=1, processes=True, dashboard_address="127.0.0.1:0",
                silence_logs=logging.CRITICAL,  # what goes wrong in a worker is told here, in a sentence
            )  # fmt: skip
    except OSError as error:
        raise DiffUSError(f"no worker can be started on this machine: {_first_line(error)}.") from None


def _queued(class_name: str, queue: str, jobs: int):
    make = getattr(optional("dask_jobqueue", "cluster"), class_name)
    try:
        cluster = make()
    except (
        OSError,
        ValueError,
        TypeError,
    ) as error:  # sizes of a job are not said, or no such queue
        raise DiffUSError(
            f"no job can be sent to {queue}: {_first_line(error)}; say cores, memory and walltime of a job in "
            f"jobqueue.{queue} of Dask's configuration (~/.config/dask/jobqueue.yaml)."
        ) from None
    cluster.scale(jobs=jobs)
    return cluster


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__


def make_cohort(recipe: Recipe, folder: Path, client: Client) -> Iterator[int]:
    """Make the cases of a recipe's cohort that are missing; yields how many there are, after each.

    Raises:
        DiffUSError: if a case cannot be made.
    """
    if recipe.cohort is None:
        return
    folder = folder.resolve()
    missing = [case for case in range(recipe.cohort.cases) if not case_path(folder, case).exists()]
    json, there = recipe.model_dump_json(), recipe.cohort.cases - len(missing)
    futures = [client.submit(make_case, json, str(folder), case, retries=_RETRIES, pure=False) for case in missing]
    for future in as_completed(futures):
        future.result()
        there += 1
        yield there


def make_dataset(recipe: Recipe, folder: Path, client: Client) -> Iterator[Progress]:
    """Make what is missing of a data set; yields after each shard.

    Killing workers, or this call, loses the shards under way and nothing else; calling it again goes on.

    Raises:
        DiffUSError: if another data set is in the folder, or a shard cannot be made.
    """
    is_new = begin(recipe, folder)
    folder = folder.resolve()
    remove_leftovers(folder)
    missing = [shard for shard in range(recipe.shards) if not is_made(recipe, folder, shard)]
    sizes = {shard: min(recipe.frames_per_shard, recipe.frames - shard * recipe.frames_per_shard) for shard in missing}
    done = Progress(recipe.shards - len(missing), recipe.frames - sum(sizes.values()), recipe.shards, recipe.frames, 0)
    yield done
    json = recipe.model_dump_json()
    futures = [client.submit(make_shard, json, str(folder), shard, retries=_RETRIES, pure=False) for shard in missing]
    try:
        for future in as_completed(futures):
            new = future.result()
            done = Progress(done.shards + 1, done.frames + new, recipe.shards, recipe.frames, done.new_frames + new)
            yield done
    except DiffUSError:
        if is_new and done.new_frames == 0:
            client.cancel(futures)
            abandon(folder)
        raise
    except KilledWorker:
        raise DiffUSError(
            "workers died on the same shard again and again, most likely for lack of memory; use fewer workers. "
            "What was made is kept."
        ) from None
    else:
        remove_leftovers(folder)
    finally:
        client.cancel(futures)
