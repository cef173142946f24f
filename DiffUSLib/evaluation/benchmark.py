"""How fast DiffUS is, against the paper's method as published, in the same run.

The baseline solves one dense linear system of the paper's eq. 2-4 for each truncation depth, batched over rays, from
given reflection coefficients. DiffUS does more in its time: it also samples the volume, and its backward pass reaches
the pose.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace

import torch

from DiffUSLib.acoustics import AcousticMaps, acoustic_maps
from DiffUSLib.geometry.pose import look_at, move
from DiffUSLib.io.files import quiet_stderr
from DiffUSLib.probes.probe import Probe, load_probe
from DiffUSLib.rendering.propagation import reflection_coefficients, steady_state
from DiffUSLib.rendering.renderer import Renderer
from DiffUSLib.rendering.settings import look
from DiffUSLib.samples.phantom import head_phantom

RAYS = (64, 128, 256)
SAMPLES = (32, 70, 100, 200)
QUICK_RAYS, QUICK_SAMPLES = (64,), (32, 70)


@dataclass(frozen=True)
class Row:
    """One line of the table; `pass_` is "forward" or "forward_backward", times are medians."""

    rays: int
    samples: int
    pass_: str
    device: str
    threads: int
    ours_ms: float
    dense_ms: float
    ratio: float
    ours_peak_mb: float

    def as_dict(self) -> dict:
        """The row with the keys of the JSON file."""
        return {key.rstrip("_"): value for key, value in asdict(self).items()}


class Scene:
    """The head phantom under a probe, for renderers of any size.

    Args:
        device: where to render.
    """

    def __init__(self, device: torch.device):
        self.device = device
        phantom = head_phantom()
        self.maps: AcousticMaps = acoustic_maps(phantom.labels, "labels")
        self.pose = look_at(phantom.entry_ras_mm, phantom.target_ras_mm)
        self.probe: Probe = load_probe("craniotomy_curvilinear")

    def renderer(self, rays: int, samples: int, **settings) -> Renderer:
        probe = replace(self.probe, lines=rays)
        return Renderer(self.maps, probe, look("clinical", samples=samples, **settings), self.device)


def dense_echoes(reflection: torch.Tensor) -> torch.Tensor:
    """The paper's method, energy-conserving signs: (R, N) reflections to (R, N) echoes by N dense solves."""
    surface = [torch.zeros_like(reflection[:, 0])]
    surface += [_surface_echo(reflection[:, :depth]) for depth in range(1, reflection.shape[1] + 1)]
    return torch.stack(surface, dim=1).diff(dim=1)


def _surface_echo(s: torch.Tensor) -> torch.Tensor:
    """d_0 (R,) of the system cut off after the interfaces (R, k); unknowns g_0, d_0, g_1, d_1, ..."""
    rays, depth = s.shape
    size = 2 * (depth + 1)
    system = torch.eye(size, dtype=s.dtype, device=s.device).repeat(rays, 1, 1)
    d = torch.arange(depth, device=s.device) * 2 + 1
    g_next = d + 1
    system[:, g_next, d - 1] = -(1 + s)
    system[:, g_next, d + 2] = s
    system[:, d, d - 1] = -s
    system[:, d, d + 2] = -(1 - s)
    right = torch.zeros(rays, size, 1, dtype=s.dtype, device=s.device)
    right[:, 0] = 1
    return torch.linalg.solve(system, right)[:, 1, 0]


def dense_on_all_threads(reflection: torch.Tensor, backward: bool) -> None:
    """The dense solve, with the rays dealt out to as many threads as PyTorch uses on the CPU.

    Each of them solves on its own: the batched LU of PyTorch 2.13 with MKL, given two threads, hung on some sizes.
    """
    kept = torch.get_num_threads()
    threads = kept if reflection.device.type == "cpu" else 1
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(lambda rays: _dense_once(rays, backward), reflection.chunk(threads)))
    finally:
        torch.set_num_threads(kept)


def _dense_once(reflection: torch.Tensor, backward: bool) -> None:
    if not backward:
        dense_echoes(reflection)
        return
    # Each truncation depth takes its gradient at once: kept together, the systems would not fit into memory.
    for depth in range(1, reflection.shape[1] + 1):
        _surface_echo(reflection.detach()[:, :depth].requires_grad_()).sum().backward()


def median_ms(task: Callable[[], object], device: torch.device, repeats: int, warm_up: int = 3) -> float:
    """Median wall time of a task in ms."""
    for _ in range(warm_up):
        task()
    times = []
    for _ in range(repeats):
        _wait(device)
        start = time.perf_counter()
        task()
        _wait(device)
        times.append(time.perf_counter() - start)
    return 1000 * statistics.median(times)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def peak_mb(task: Callable[[], object], device: torch.device) -> float:
    """Most memory in MB that a task's tensors hold at a time beyond what was held before."""
    if device.type == "cuda":
        _wait(device)
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        task()
        return (torch.cuda.max_memory_allocated(device) - before) / 1e6
    activities = [torch.profiler.ProfilerActivity.CPU]
    with quiet_stderr(), torch.profiler.profile(activities=activities, profile_memory=True) as profile:
        task()
    held = peak = 0
    for event in sorted(profile.profiler.kineto_results.events(), key=lambda event: event.start_ns()):
        if event.name() == "[memory]":
            held += event.nbytes()
            peak = max(peak, held)
    return peak / 1e6


def echo_task(renderer: Renderer, pose: torch.Tensor, backward: bool) -> Callable[[], object]:
    """Echoes from the volume, with the gradient to the pose or without."""
    pose = pose.to(renderer.device, renderer.dtype)
    if not backward:
        return lambda: renderer.echoes(pose)

    def task():
        moving = pose.clone().requires_grad_()
        renderer.echoes(moving).square().sum().backward()

    return task


def best_thread_count(scene: Scene) -> int:
    """The number of CPU threads with the shortest forward and backward pass of 256 x 200 echoes."""
    if scene.device.type != "cpu":
        return torch.get_num_threads()
    kept, times = torch.get_num_threads(), {}
    for threads in sorted({1, 2, kept}):
        torch.set_num_threads(threads)
        task = echo_task(scene.renderer(256, 200, propagation="steady_state"), scene.pose, backward=True)
        times[threads] = median_ms(task, scene.device, repeats=15)
    torch.set_num_threads(kept)
    return min(times, key=times.__getitem__)


def measure_row(scene: Scene, rays: int, samples: int, backward: bool, repeats: int) -> Row:
    """DiffUS and the dense baseline on the same echoes."""
    renderer = scene.renderer(rays, samples, propagation="steady_state")
    task = echo_task(renderer, scene.pose, backward)
    ours_ms = median_ms(task, scene.device, repeats)
    reflection = torch.linspace(-0.05, 0.05, rays * samples, device=scene.device).reshape(samples, rays).T.contiguous()
    dense_ms = median_ms(lambda: dense_on_all_threads(reflection, backward), scene.device, repeats=1, warm_up=0)
    return Row(
        rays=rays,
        samples=samples,
        pass_="forward_backward" if backward else "forward",
        device=scene.device.type,
        threads=torch.get_num_threads(),
        ours_ms=ours_ms,
        dense_ms=dense_ms,
        ratio=dense_ms / ours_ms,
        ours_peak_mb=peak_mb(task, scene.device),
    )


def agreement(scene: Scene) -> float:
    """Largest difference between the echoes of DiffUS and of the dense solve (float64), relative to the strongest."""
    impedance = 1.6 + 0.05 * torch.sin(torch.arange(64 * 33, dtype=torch.float64, device=scene.device).reshape(64, 33))
    ours, dense = steady_state(impedance), dense_echoes(reflection_coefficients(impedance))
    return float((ours - dense).abs().max() / dense.abs().max())


def further_figures(scene: Scene, repeats: int) -> dict[str, float]:
    """Other times by what they are of: ms, and ratios where the name says so."""
    device, pose = scene.device, scene.pose
    # In turn, so that whatever else the machine does meets both alike.
    tasks = [echo_task(scene.renderer(256, n, propagation="steady_state"), pose, False) for n in (200, 400)]
    growth = statistics.median(
        median_ms(tasks[1], device, 5) / median_ms(tasks[0], device, 5) for _ in range(max(5, repeats // 5))
    )
    image = scene.renderer(256, 200)
    fine = scene.renderer(256, 400)
    paper = scene.renderer(256, 200, propagation="steady_state", sign_convention="paper")
    poses = torch.stack([move(pose, tilt=angle) for angle in torch.linspace(-10, 10, 64).tolist()])
    small = scene.renderer(64, 128, propagation="steady_state")
    together = median_ms(lambda: small.echoes(poses), device, repeats)
    in_turn = median_ms(lambda: [small.echoes(one) for one in poses], device, max(3, repeats // 4))
    return {
        "clinical image 512 x 512 from 256 lines x 200 samples, ms": median_ms(lambda: image(pose), device, repeats),
        "clinical image 512 x 512 from 256 lines x 400 samples, ms": median_ms(lambda: fine(pose), device, repeats),
        "echoes 256 x 200 with the paper's sign convention, ms": median_ms(
            echo_task(paper, pose, False), device, repeats
        ),
        "echoes 256 x 400 to 256 x 200, ratio": growth,
        "64 poses of 64 x 128 one by one to one batch, ratio": in_turn / together,
    }
