"""Asks for a job's status by the code of squid-py, and for what it did by requests; prints what the client made of the answers.

usage: python poll.py ORIGIN AGREEMENT JOB CONSUMER
"""

import collections
import collections.abc
import contextlib
import json
import sys

# Its libraries look for these where they were before Python 3.10.
for name in collections.abc.__all__:
    if not hasattr(collections, name):
        setattr(collections, name, getattr(collections.abc, name))

from squid_py.brizo.brizo import Brizo
from squid_py.ocean.ocean_compute import OceanCompute

ORIGIN, AGREEMENT, JOB, CONSUMER = sys.argv[1:]
ENDPOINT = f"{ORIGIN}/api/v1/brizo/services/compute"


class Account:
    """What the client has from a wallet."""

    address = CONSUMER


class Auth:
    """The same."""

    @staticmethod
    def get(_account):
        return "0x00"


class Compute(OceanCompute):
    """The client, told without a chain where the service is."""

    def _get_service_endpoint_from_agreement(self, agreement_id, ddo=None):
        return ENDPOINT


def refused(ask):
    """The code of the refusal that the client raises."""
    try:
        return {"not refused": ask()}
    except Exception as error:  # the client raises nothing narrower
        return json.loads(str(error))["code"]


def main():
    compute = Compute(None, None, Auth(), None)
    told = {
        "byJob": compute.status(AGREEMENT, JOB, Account()),
        # The client sends an empty jobId then.
        "byAgreement": compute.status(AGREEMENT, None, Account()),
        "result": compute.result(AGREEMENT, JOB, Account()),
        "stopped": refused(lambda: compute.stop(AGREEMENT, JOB, Account())),
        "deleted": refused(lambda: compute.delete(AGREEMENT, JOB, Account())),
        "started": refused(lambda: Brizo.start_compute_job(AGREEMENT, ENDPOINT, CONSUMER, "0x00", algorithm_did="did:op:2")),
    }
    return told


# It prints every answer.
with contextlib.redirect_stdout(sys.stderr):
    answers = main()
print(json.dumps(answers))
