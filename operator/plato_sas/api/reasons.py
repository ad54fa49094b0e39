"""What the reasons in a status mean and what to do about them; `docs/reference/reasons.md` is generated from this.

The code that finds a reason decides its class. `tests/docs` holds both to the same reasons and classes.
"""

from typing import NamedTuple


class Reason(NamedTuple):
    """One reason. `failure_class` is the value of the FailureClass, or None where a reason has no fixed one."""

    name: str
    meaning: str
    remedy: str = ""
    failure_class: str | None = None


# Of the condition Accepted. All but the first mean that it is False.
ACCEPTED = (
    Reason("Accepted", "Spec and pipeline are valid."),
    Reason(
        "SpecInvalid",
        "Parameters, inputs or columns do not fit the pipeline. The message names each field.",
        "Correct the spec. Until then a star in flight starts no further step.",
    ),
    Reason(
        "PipelineNotFound",
        "No StarPipeline has this name.",
        "Apply it, or correct `spec.pipeline` in a new resource.",
    ),
    Reason("ModuleNotFound", "A step names a ScienceModule that does not exist.", "Apply the module."),
    Reason(
        "PipelineInvalid",
        "Inputs, outputs or parameters are wired wrongly. The message names each field.",
        "Correct the StarPipeline.",
    ),
    Reason(
        "ConditionInvalid",
        "A `when` is not valid CEL, not of type bool, names an undeclared fact, or can only fail (`1/0`).",
        "Correct the StarPipeline.",
    ),
    Reason(
        "PipelineTooLarge",
        "The pipeline with its modules does not fit into one object, or a step not into its order. The message has the "
        "size.",
        "Shorten descriptions, arguments or parameters.",
    ),
    Reason("GraphHasCycle", "Steps wait for each other. The message shows the cycle.", "Correct the StarPipeline."),
    Reason(
        "RevisionInvalid",
        "The pinned graph was written by another version of the operator, under other rules.",
        "Rerun the star, which then takes the present graph.",
    ),
    Reason(
        "RevisionLost",
        "The pinned graph (a ControllerRevision) was deleted, and pipeline or modules have changed since.",
        "Rerun the star, which then takes the present graph.",
    ),
    Reason(
        "NoCatalogueImage",
        "The operator has no image for catalogues.",
        "Set `images.catalogue` in the chart's values.",
    ),
)

# Of the condition Complete of a star.
COMPLETE = (
    Reason("AllStepsFinished", "The star has succeeded. The condition is True."),
    Reason(
        "Progressing",
        "Something runs or is about to. The message says what a pod waits for.",
        "Wait, or see the message.",
    ),
    Reason(
        "WaitingForSlot",
        "As many stars as `controller.maxActiveStars` allows have Jobs.",
        "Wait, or raise the priority or the limit.",
    ),
    Reason(
        "ProductsInUse",
        "Another unfinished StarProcessing writes to the same star and campaign.",
        "Wait for it, or cancel it.",
    ),
    Reason(
        "PodsTerminating",
        "A pod of a deleted Job has not ended yet.",
        "Wait. If the pod stays, look at it with `kubectl get pods`.",
    ),
    Reason(
        "StepFailed",
        "At least one step failed. The message has its reason and last log lines.",
        "See the step's reason.",
    ),
    Reason(
        "DeadlineExceeded",
        "`spec.deadline` has passed, and unfinished steps are `Cancelled`.",
        "Set a longer deadline, and rerun with `failed: true`.",
    ),
    Reason(
        "RequestFailed",
        "The API server has refused a request of the operator several times. The message has its words.",
        "See the message: a webhook that does not answer, a right, a quota, or an object that is too large.",
    ),
    Reason(
        "InternalError",
        "The operator itself failed on this resource. It tries again with growing pauses; other resources go on.",
        "Find the error id of the message in the operator's log, and report it.",
    ),
    Reason("Suspended", "The spec asks for it.", "Set `desiredState: Run`."),
    Reason("Cancelled", "The spec asks for it."),
    Reason("Rejected", "The condition Accepted is False.", "See its reason."),
)

# Of the condition Complete of a catalogue, which may also have a reason of FAILED or HELD_UP for its pod.
CATALOGUE = (
    Reason("Published", "The catalogue is published. The condition is True."),
    Reason("Pending", "The catalogue has not been started."),
    Reason("Collecting", "Its Job runs."),
    Reason("Rerun", "A rerun was taken up and is about to start."),
    Reason("Rejected", "The condition Accepted is False.", "See its reason."),
    Reason(
        "CollectionFailed",
        "There is no such campaign, no product, or no sound one.",
        "See the message, and `problems.txt` of an earlier catalogue. Then rerun.",
    ),
)

# Of steps that are Skipped, which is a normal end except for UpstreamFailed.
SKIPPED = (
    Reason("ConditionFalse", "Its `when` is false."),
    Reason(
        "FactAbsent",
        "Its `when` needs a fact that was not reported, or whose step did not run.",
        "If that is wrong, the module upstream must report the fact.",
    ),
    Reason("InputAbsent", "The producer of a required input did not make it."),
    Reason(
        "UpstreamFailed",
        "A step that it depends on failed, or was itself skipped for that reason. This holds for optional inputs too: "
        "the result would silently differ.",
        "See the failed step.",
    ),
)

CANCELLED = (
    Reason("Cancelled", "The user cancelled the star.", "Set `desiredState: Run`, and rerun."),
    Reason("DeadlineExceeded", "The star's deadline passed.", "Set a longer deadline, and rerun."),
)

# Of steps that failed, or wait for another attempt.
FAILED = (
    Reason(
        "WhenFailed",
        "The step did not run: its `when` has no value for the facts of this star. The message has the expression and "
        "the error, such as a division by zero.",
        "Correct the `when`, or the module that reports the fact. Then rerun.",
        "Science",
    ),
    Reason(
        "ModuleFailed",
        "The module ended with an exit code for which no other reason here stands.",
        "Read the message, which is the module's own.",
        "Science",
    ),
    Reason(
        "OutputMissing",
        "The module ended with exit code 0 without writing a required output.",
        "Correct the module.",
        "Science",
    ),
    Reason("OutputInvalid", "An output is empty, a link, or not a regular file.", "Correct the module.", "Science"),
    Reason(
        "OutputTooLarge",
        "An output is larger than its `maxSize`, or than `modules.maxOutputSize` of the chart.",
        "Correct the module, or set a larger `maxSize` in the ScienceModule.",
        "Science",
    ),
    Reason(
        "FactsInvalid",
        "`facts.json` violates the declaration, or is too large for a report. The message names the fact.",
        "Correct the module.",
        "Science",
    ),
    Reason(
        "InputMissing",
        "A file is not on the volume. The message has its path.",
        "Deliver it, and rerun with `failed: true`.",
        "Science",
    ),
    Reason(
        "InputInvalid",
        "A file is unreadable, not a regular file, not in its producer's manifest, outside of the volume, or, where "
        "the star chose it, outside of the folders in `controller.inputPrefixes`.",
        "Correct what is on the volume, or the path in `spec.inputs`.",
        "Science",
    ),
    Reason(
        "ChecksumMismatch",
        "A file does not have the announced SHA-256, was changed after publication, or is not what the steps before it "
        "in this run have read: it was delivered anew.",
        "Find out who changed it. After a new delivery rerun from the first step that reads it.",
        "Science",
    ),
    Reason(
        "ContainerCannotRun",
        "The image's command cannot be started.",
        "Correct `command` in the ScienceModule, or the image.",
        "Science",
    ),
    Reason(
        "DeadlineExceeded",
        "The module ran for its `timeout` and was stopped.",
        "Set a longer `timeout`.",
        "Science",
    ),
    Reason(
        "ScratchFull", "The module wrote more to `/tmp` than `scratch` allows.", "Set a larger `scratch`.", "Science"
    ),
    Reason("TemporaryFailure", "The module ended with exit code 75.", "Wait.", "Temporary"),
    Reason(
        "OOMKilled",
        "The module used more memory than its limit.",
        "Set a larger `memoryCap`.",
        "OutOfMemory",
    ),
    Reason(
        "ContainerStopped",
        "The module ended with exit code 137 or 143 without lack of memory: something on the node killed it.",
        "Look at the node; correct the module if it ends with this code by itself.",
        "Infrastructure",
    ),
    Reason(
        "StageInFailed",
        "The products or the inputs volume cannot be read or written.",
        "Look at the volume: space, rights, read-only mount.",
        "Infrastructure",
    ),
    Reason(
        "NoSpaceLeft",
        "The module failed, and its last log lines say `No space left on device` or `Disk quota exceeded`.",
        "Free space on the volume. If the module filled something of its own (`/dev/shm`), correct the module.",
        "Infrastructure",
    ),
    Reason(
        "OutputReadOnly",
        "The module failed, and its last log lines say `Read-only file system` and name `/sas/out`.",
        "Look at the volume.",
        "Infrastructure",
    ),
    Reason("PublishFailed", "The products volume cannot be written.", "Look at the volume.", "Infrastructure"),
    Reason(
        "OutputLost",
        "The module succeeded, but its output is no longer on the volume when it is to be published.",
        "Find out who removed it from `.attempts`.",
        "Infrastructure",
    ),
    Reason(
        "StagerFailed",
        "Stage-in or publish ended without a report.",
        "Read the container's log.",
        "Infrastructure",
    ),
    Reason(
        "ReportLost",
        "A catalogue's collector succeeded without a report.",
        "Read the container's log.",
        "Infrastructure",
    ),
    Reason("Evicted", "The node evicted the pod.", "Look at the node.", "Infrastructure"),
    Reason("PodDeleted", "Somebody deleted the pod while it ran.", "", "Infrastructure"),
    Reason(
        "Disrupted",
        "Kubernetes removed the pod. Mostly its own reason stands here: `PreemptionByScheduler`, "
        "`EvictionByEvictionAPI` (a drain), `DeletionByTaintManager` or `DeletionByPodGC` (a lost node), "
        "`TerminationByKubelet`.",
        "Look at the node.",
        "Infrastructure",
    ),
    Reason(
        "ContainerLost",
        "How a container ended is unknown (Kubernetes: `Unknown`, `ContainerStatusUnknown`), mostly because the node "
        "or its container runtime was restarted.",
        "Look at the node.",
        "Infrastructure",
    ),
    Reason(
        "NotStarted",
        "No step began within the pod's limit, for an unknown reason. A known reason stands here instead: one of those "
        "that hold up a step (below), except `Unschedulable`.",
        "See `kubectl describe pod`.",
        "Infrastructure",
    ),
    Reason(
        "PodDeadlineExceeded",
        "The pod's time was up before the step had used its own: something else took too long.",
        "Look at the node and the volumes.",
        "Infrastructure",
    ),
    Reason("PodLost", "The Job ended, and its pod was gone before its outcome was read.", "", "Infrastructure"),
    Reason("JobLost", "The Job of a running step was deleted.", "", "Infrastructure"),
    Reason(
        "JobRefused",
        "The API server refused the Job. If a field of the Job is invalid, that is final. Otherwise (a right, a quota, "
        "a policy, a webhook that does not answer) the operator tries again, with growing pauses.",
        "See the message: the ScienceModule, the operator's Role, or the namespace's quota.",
    ),
    Reason(
        "PodFailed",
        "The pod failed before any of its containers. Where Kubernetes gives a reason, it stands here instead.",
        "See `kubectl describe pod`.",
        "Infrastructure",
    ),
)

# Of steps that are Running and cannot go on; they disappear with their cause.
HELD_UP = (
    Reason("ErrImagePull", "The image cannot be pulled."),
    Reason("ImagePullBackOff", "The image cannot be pulled; the node waits before it tries again."),
    Reason("InvalidImageName", "The image's name is invalid."),
    Reason("ErrImageNeverPull", "The image is not on the node, and may not be pulled."),
    Reason("CreateContainerConfigError", "The container cannot be created. The message says why."),
    Reason("CreateContainerError", "The container cannot be created. The message says why."),
    Reason("RunContainerError", "The container was created and cannot be started. The message says why."),
    Reason("Unschedulable", "No node has room."),
    Reason(
        "PodNotCreated",
        "The Job has no pod for long: a quota, a limit range or a policy forbids it. The message has the words of the "
        "Job's event.",
    ),
    Reason(
        "ContainerCreating",
        "The next container does not begin for long: a volume that cannot be mounted, or a Secret that is missing. The "
        "message has the words of the pod's event.",
    ),
    Reason("JobSuspended", "A queue such as Kueue, or somebody, has suspended the Job."),
)

# Of steps whose module has ended, and whose products a Job of their own will publish.
UNPUBLISHED = (
    Reason("Unpublished", "Publishing: the module succeeded, and the stage failed afterwards."),
    Reason(
        "AwaitingPublication",
        "Running: the step failed, and what it was made from is published first. It may turn out that an input was not "
        "as declared, which is then the failure.",
    ),
)

# Of Events about a star. Normal ones are written only with `controller.normalEvents`.
EVENTS = (
    Reason("Accepted", "Normal: the star is valid, and pinned to a revision."),
    Reason("Started", "Normal: the first step has started, or a rerun was taken up."),
    Reason("Finished", "Normal: the star has succeeded or failed."),
    Reason("Suspended", "Normal: the spec asks for it. Always written."),
    Reason("Cancelled", "Normal: the spec asks for it. Always written."),
    Reason("StepFailed", "A step has failed for good. The message has its reason and last log lines."),
    Reason("StepRetried", "A step has failed and will be tried again."),
    Reason("StepWaits", "A step cannot go on. The message says what it waits for."),
    Reason("Rejected", "The spec, or what it refers to, is invalid."),
)
