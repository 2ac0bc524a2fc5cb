"""`make bench-peers`: the product beside nginx and beside other gateways, under one caller and over one upstream.

A peer is a file in `known/`: how it is installed on demand, how it is started. None of them is a dependency.
"""
