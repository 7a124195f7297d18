from enginebay_core.testing import BackendContract


class TestNumpy(BackendContract):
    backend = "numpy"


class TestNumpyInAProcess(BackendContract):
    backend = "numpy"
    placement = "process"
