"""Whether this is ZeroGPU, as the real package says it."""

import os


class Config:
    zero_gpu = os.environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true")
