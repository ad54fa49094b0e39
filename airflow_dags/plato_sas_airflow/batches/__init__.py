"""A batch of stars, from its first request to its result.

*final* is a state that stays until a rerun, *at rest* is final or `Rejected`: states of the resource, as in
`plato_sas.api`. A star of a batch is *finished* when the batch no longer waits for it: its state is final, it was
`Rejected` for too long, or its resource was deleted or changed. A batch is finished when all its stars are.
"""
