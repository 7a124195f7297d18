"""A backend that breaks when a file tells it to, installed as a stranger's would be."""

from __future__ import annotations

from pathlib import Path

CODE = """
import ctypes, os, resource, signal, time
from pathlib import Path
from enginebay_core.toy import ToyBackend, ToyEngine, ToyOptions

MIDDLE = 120

class Options(ToyOptions):
    orders: str

def hold_the_interpreter():
    ctypes.PyDLL(None).sleep(1000)

def limit_memory():
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + (1 << 27), resource.RLIM_INFINITY))

def exceed_memory():
    limit_memory()
    try:
        bytearray(1 << 29)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

def exceed_memory_natively():
    limit_memory()
    take = ctypes.CDLL(None).malloc
    take.restype, take.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    if take(1 << 29) is None:
        ctypes.CDLL(None).abort()  # as C++ does where nobody catches bad_alloc

def load_slowly(progress):
    for done in range(30):
        progress("loading slowly", done, 30)
        time.sleep(0.1)

STEP = {
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "segfault": lambda: ctypes.string_at(0),
    "exit": lambda: os._exit(3),
    "hang": lambda: ctypes.CDLL(None).sleep(1000),
    "hold": hold_the_interpreter,
    "raise": lambda: 1 / 0,
    "flood": lambda: [print("x" * 4000) for _ in range(2000)],
    "memory": exceed_memory,
    "native memory": exceed_memory_natively,
}
LOAD = {
    "raise at load": lambda progress: 1 / 0,
    "exit at load": lambda progress: os._exit(4),
    "hang at load": lambda progress: time.sleep(1000),
    "slow load": load_slowly,
}

def obey(orders, known, *given):
    '''The first line of the file, if it is one of these; it is gone before it is done.'''
    first, _, rest = orders.read_text().partition("\\n") if orders.exists() else ("", "", "")
    if first in known:
        orders.write_text(rest)
        known[first](*given)

class Engine(ToyEngine):
    orders = None

    def forward(self, batch):
        if any(row.start >= MIDDLE for row in batch.rows):
            obey(self.orders, STEP)
        return super().forward(batch)

class Backend(ToyBackend):
    options = Options

    def load(self, model, options, progress):
        obey(Path(options.orders), LOAD, progress)
        engine = Engine(step_seconds=0.002)
        engine.orders = Path(options.orders)
        return engine
"""


def install(site: Path) -> None:
    site.mkdir()
    (site / "eb_faulty.py").write_text(CODE)
    info = site / "eb_faulty-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: eb_faulty\nVersion: 1.0\n")
    points = "[enginebay.backends.v1]\nfaulty = eb_faulty:Backend\n"
    (info / "entry_points.txt").write_text(points)
