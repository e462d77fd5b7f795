"""The engine: compiled answers served by C, where the package was built with a compiler.

`answer.c` answers from images (answer/image.py), `image.c` checks them when they are loaded, `module.c` is the binding.
"""
