"""The auditor's tool: checks evidence offline, with nothing but the standard library (product promises L3, S3, S4, F6).

It stands beside `visionality` and never imports it, so that what an auditor runs can be read whole and trusted apart
from the product that made the evidence. It runs on Python 3.9 and later. docs/audit/formats.md has the forms that it
reads, docs/audit/verify.md its checks and exit codes.
"""

from vis_verify.asked import Asked
from vis_verify.check import verify_envelope, verify_figure, verify_pack, verify_receipt
from vis_verify.keys import Key, Keys
from vis_verify.verdict import Code, Verdict

__all__ = [
    "Asked",
    "Code",
    "Key",
    "Keys",
    "Verdict",
    "verify_envelope",
    "verify_figure",
    "verify_pack",
    "verify_receipt",
]
__version__ = "1.0.0"
