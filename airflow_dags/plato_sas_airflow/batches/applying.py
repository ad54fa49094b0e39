"""Create or adopt the stars of a batch, and cancel them."""

from collections import Counter

from kubernetes_asyncio.client.exceptions import ApiException

from plato_sas.api import DesiredState, StarState
from plato_sas_airflow.batches.adoption import Action, RerunRequest, Verdict, assess, pointer, to_apply, to_rerun
from plato_sas_airflow.batches.batch import Batch
from plato_sas_airflow.errors import ApplyError, listed
from plato_sas_airflow.kube.client import StarProcessingClient, reason_of
from plato_sas_airflow.kube.resource import BATCH_LABEL, CLAIM_ANNOTATION, Resource
from plato_sas_airflow.kube.status import state_at_rest

_ATTEMPTS = 8


async def apply_batch(
    client: StarProcessingClient, batch: Batch, request: RerunRequest | None = None
) -> Counter[Action]:
    """Create the batch's resources by server-side apply, or adopt or rerun those that exist (see `adoption`).

    Every star is assessed before the first is applied. Returns how many were created, adopted and rerun.
    Raises BatchError if a star is not valid, and ApplyError if one cannot be adopted (then nothing was applied) or the
    server refuses one (then the others were applied).
    """
    wanted = batch.resources()
    existing = await client.get_many(wanted, batch.namespace)
    _raise_refused([assess(existing[name], body, batch, request) for name, body in wanted.items()])

    async def one(name: str) -> Verdict:
        return await _create_or_adopt(client, wanted[name], existing.pop(name), batch, request)

    outcomes = await client.windowed(wanted, one)
    _raise_refused(outcomes)
    return Counter(outcome.action for outcome in outcomes)


async def cancel_batch(client: StarProcessingClient, batch: Batch) -> int:
    """Set `desiredState: Cancel` on the batch's unfinished stars; returns their number.

    Rejected stars are cancelled too, since they would run once their pipeline is corrected. Stars that a later try or
    another batch has adopted are left alone: only the holder of the claim may cancel.
    """

    def unfinished_name(item: Resource) -> str | None:
        return item["metadata"]["name"] if state_at_rest(item) in (None, StarState.REJECTED) else None

    found = await client.select(batch.namespace, f"{BATCH_LABEL}={batch.id}", unfinished_name)
    names = [name for name in found if name is not None]
    return sum(await client.windowed(names, lambda name: _cancel(client, name, batch)))


async def _cancel(client: StarProcessingClient, name: str, batch: Batch) -> bool:
    """Returns False if the star is gone, or claimed by another batch or try."""
    claim = {"op": "test", "path": f"/metadata/annotations/{pointer(CLAIM_ANNOTATION)}", "value": batch.claim}
    cancel = {"op": "add", "path": "/spec/desiredState", "value": DesiredState.CANCEL.value}
    try:
        await client.patch(name, batch.namespace, [claim, cancel])
    except ApiException as error:
        if error.status in (404, 422):
            return False
        raise
    return True


async def _create_or_adopt(
    client: StarProcessingClient, wanted: Resource, found: Resource | None, batch: Batch, request: RerunRequest | None
) -> Verdict:
    """Do what `assess` says, and start again whenever the resource was changed by others in the meantime.

    A star that must run again is changed first, and then adopted like any other that is under way.
    """
    name, rerun, problem = wanted["metadata"]["name"], None, "others keep changing it"
    for _ in range(_ATTEMPTS):
        verdict = assess(found, wanted, batch, request)
        if verdict.action is Action.REFUSE:
            return verdict
        try:
            if found is not None and verdict.action is Action.RERUN:
                await client.patch(name, batch.namespace, to_rerun(wanted, found, verdict.rerun, request))
                rerun = verdict
            else:
                await client.apply(to_apply(wanted, found, request))
                return rerun or verdict
        except ApiException as error:
            absent = error.status == 404 and found is None  # the namespace, or the kind
            patched = verdict.action is Action.RERUN and error.status == 422  # or a patch of what is no longer there
            if absent or (error.status in (400, 403, 422) and not patched):
                return Verdict.refuse(f"StarProcessing {name} is refused: {reason_of(error)}")
            if error.status not in (404, 409, 422):
                raise
            problem = reason_of(error)
        found = await client.get(name, batch.namespace)
    return Verdict.refuse(f"StarProcessing {name} could not be changed: {problem}", transient=True)


def _raise_refused(verdicts: list[Verdict]) -> None:
    refused = [verdict for verdict in verdicts if verdict.action is Action.REFUSE]
    if refused:
        raise ApplyError(listed([one.reason for one in refused]), transient=all(one.transient for one in refused))
