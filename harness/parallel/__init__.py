"""Layers over many devices: ranks that torch's elastic agent starts, what they measure together, and who owns them.

`ranks.py` stands in the worker; `agent.py` and `rank.py` are programs of their own. Nothing here is imported, and no
process started, before a case asks for ranks.
"""
