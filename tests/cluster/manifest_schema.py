"""A strict JSON schema of the fields that the manifests use: of Kubernetes, and of KubeRay's `ray.io/v1` (1.5 and later).

Everything else is refused, so that a misspelt key, which a cluster may silently ignore, fails a
test.
"""

from __future__ import annotations

from typing import Any

TEXT = {"type": "string", "minLength": 1}
WHOLE = {"type": "integer", "minimum": 0}
FLAG = {"type": "boolean"}
NAME = {"type": "string", "pattern": "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"}
PORT = {"type": "integer", "minimum": 1, "maximum": 65535}


def record(required: dict[str, Any], **optional: Any) -> dict[str, Any]:
    """An object with these fields and no other."""
    return {
        "type": "object",
        "properties": required | optional,
        "required": list(required),
        "additionalProperties": False,
    }


def many(item: Any) -> dict[str, Any]:
    return {"type": "array", "items": item, "minItems": 1}


def words(values: Any = TEXT, names: str = ".") -> dict[str, Any]:
    """An object whose keys are free."""
    return {
        "type": "object",
        "patternProperties": {names: values},
        "additionalProperties": False,
        "minProperties": 1,
    }


def one_of(*values: Any) -> dict[str, Any]:
    return {"enum": list(values)}


LABELS = words({"type": "string", "pattern": "^[A-Za-z0-9._-]*$"})
AMOUNT = {"type": "string", "pattern": r"^[0-9]+(m|Mi|Gi)?$"}
RESOURCES = record(
    {name: record({"cpu": AMOUNT, "memory": AMOUNT}) for name in ("requests", "limits")}
)
VARIABLE = record(
    {"name": {"type": "string", "pattern": "^[A-Z_]+$"}},
    value=TEXT,
    valueFrom=record({"fieldRef": record({"fieldPath": one_of("status.podIP")})}),
)
MOUNT = record({"name": NAME, "mountPath": {"type": "string", "pattern": "^/"}}, readOnly=FLAG)
LOCKED = record(
    {"allowPrivilegeEscalation": one_of(False), "capabilities": record({"drop": one_of(["ALL"])})}
)
CONTAINER = record(
    {
        "name": NAME,
        "image": TEXT,
        "resources": RESOURCES,
        "securityContext": LOCKED,
        "volumeMounts": many(MOUNT),
    },
    command=many(TEXT),
    env=many(VARIABLE),
)
VOLUME = record(
    {"name": NAME},
    emptyDir=record({"sizeLimit": AMOUNT}, medium=one_of("Memory")),
    secret=record({"secretName": NAME, "defaultMode": one_of(0o440, 0o400)}),
    persistentVolumeClaim=record({"claimName": NAME}, readOnly=FLAG),
)
POD = record(
    {
        "metadata": record({"labels": LABELS}),
        "spec": record(
            {
                "automountServiceAccountToken": FLAG,
                "securityContext": record(
                    {
                        "runAsNonRoot": one_of(True),
                        "runAsUser": WHOLE,
                        "fsGroup": WHOLE,
                        "seccompProfile": record({"type": one_of("RuntimeDefault")}),
                    }
                ),
                "initContainers": many(CONTAINER),
                "containers": many(CONTAINER),
                "volumes": many(VOLUME),
            },
            tolerations=many(
                record({"key": TEXT, "operator": one_of("Exists"), "effect": one_of("NoSchedule")})
            ),
            nodeSelector=LABELS,
        ),
    }
)
START = record(
    {
        name: {"type": "string", "pattern": "^[0-9]+$"}
        for name in (
            *(
                "node-manager-port",
                "object-manager-port",
                "metrics-export-port",
                "runtime-env-agent-port",
            ),
            *(
                "dashboard-agent-grpc-port",
                "dashboard-agent-listen-port",
                "min-worker-port",
                "max-worker-port",
            ),
        )
    },
    **{
        "num-cpus": {"type": "string"},
        "object-spilling-directory": {"type": "string", "pattern": "^/"},
    },
)


def resource(version: str, kind: str, spec: dict[str, Any]) -> dict[str, Any]:
    return record(
        {
            "apiVersion": one_of(version),
            "kind": one_of(kind),
            "metadata": record({"name": NAME, "namespace": NAME}, labels=LABELS),
            "spec": spec,
        }
    )


CLUSTER = resource(
    "ray.io/v1",
    "RayCluster",
    record(
        {
            "rayVersion": TEXT,
            "authOptions": record({"mode": one_of("token"), "secretName": NAME}),
            "enableInTreeAutoscaling": FLAG,
            "headGroupSpec": record(
                {"serviceType": one_of("ClusterIP"), "rayStartParams": START, "template": POD}
            ),
            "workerGroupSpecs": many(
                record(
                    {
                        "groupName": NAME,
                        "replicas": WHOLE,
                        "minReplicas": WHOLE,
                        "maxReplicas": WHOLE,
                        "labels": LABELS,
                        "rayStartParams": START,
                        "template": POD,
                    }
                )
            ),
        },
        autoscalerOptions=record(
            {
                "version": one_of("v2"),
                "upscalingMode": one_of("Default", "Conservative"),
                "idleTimeoutSeconds": {"type": "integer", "minimum": 300},
                "resources": RESOURCES,
            }
        ),
    ),
)
JOB = resource(
    "ray.io/v1",
    "RayJob",
    record(
        {
            "clusterSelector": record({"ray.io/cluster": NAME}),
            "submissionMode": one_of("HTTPMode"),
            "entrypoint": TEXT,
            "entrypointNumCpus": one_of(0),
            "activeDeadlineSeconds": WHOLE,
            "shutdownAfterJobFinishes": one_of(False),
        }
    ),
)
PEER = record({}, podSelector={"type": "object"}, namespaceSelector=record({"matchLabels": LABELS}))
PORTS = many(record({"protocol": one_of("TCP", "UDP"), "port": PORT}))
POLICY = resource(
    "networking.k8s.io/v1",
    "NetworkPolicy",
    record(
        {
            "podSelector": one_of({}),
            "policyTypes": one_of(["Ingress", "Egress"]),
            "ingress": many(record({"from": many(PEER)}, ports=PORTS)),
            "egress": many(record({}, to=many(PEER), ports=PORTS)),
        }
    ),
)
KINDS = {"RayCluster": CLUSTER, "RayJob": JOB, "NetworkPolicy": POLICY}
