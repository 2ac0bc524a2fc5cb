"""Speed of the whole product against its sandbox provider, on this machine, in one run (`make bench`).

The machine is shared and noisy, so read the ratios against the direct calls of the same run. Nothing here asserts.
"""
