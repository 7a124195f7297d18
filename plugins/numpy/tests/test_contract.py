from enginebay_core.testing import BackendContract


class TestNumpy(BackendContract):
    backend = "numpy"
