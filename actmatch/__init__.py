"""On which few pixels does an image classifier's decision rest?

Importing the package loads nothing; each name of `__init__.pyi` brings its module, and PyTorch,
when it is used.
"""

import lazy_loader

__version__ = "0.1.0"
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
