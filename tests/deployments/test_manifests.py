"""Docker and Kubernetes: what can be checked of their files without their engines.

The parts that have to agree live in several files: names, ports, users, volumes, variables.
"""

from __future__ import annotations

import fnmatch
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import jsonschema
import pytest
import yaml
from click.testing import CliRunner
from prefect.events.schemas.automations import EventTrigger
from prefect.events.schemas.events import Resource, ResourceSpecification
from prefect.settings.models.server.services import ServerServicesDBVacuumSettings

from deployments import automations, images
from ptdq.parameters import Parameters
from tests.support.running import ROOT

DOCKER = ROOT / "deployments" / "docker"
KUBERNETES = ROOT / "deployments" / "kubernetes"
ENTRYPOINT = "flows/benchmark.py:quantization_benchmark"
TEMPLATE: dict[str, Any] = json.loads((KUBERNETES / "base-job-template.json").read_text(encoding="utf-8"))
JOB: dict[str, Any] = TEMPLATE["job_configuration"]["job_manifest"]


def documents(path: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(path.read_text(encoding="utf-8")))


def instructions() -> list[tuple[str, str]]:
    """Instructions of the Dockerfile, each with its arguments on one line."""
    lines = (DOCKER / "Dockerfile").read_text(encoding="utf-8").splitlines()
    text = "\n".join(line for line in lines if not line.startswith("#")).replace("\\\n", " ")
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in text.splitlines()) if word]


def arguments(word: str) -> list[str]:
    return [rest.strip() for found, rest in instructions() if found == word]


KUSTOMIZATION = documents(KUBERNETES / "kustomization.yaml")[0]
MANIFESTS = [manifest for name in KUSTOMIZATION["resources"] for manifest in documents(KUBERNETES / name)]
WORKLOADS = [manifest for manifest in MANIFESTS if manifest["kind"] in ("Deployment", "StatefulSet")]
COMPOSE = documents(DOCKER / "compose.yaml")[0]
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
JOB_POD = JOB["spec"]["template"]
POSTGRES = next(name for name in images.images() if name.startswith("postgres:17.5-bookworm@sha256:"))
PODS = [manifest["spec"]["template"] for manifest in WORKLOADS] + [JOB_POD]


def named(kind: str) -> set[str]:
    return {manifest["metadata"]["name"] for manifest in MANIFESTS if manifest["kind"] == kind}


def containers() -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Every pod with its container."""
    for pod in PODS:
        for container in pod["spec"]["containers"]:
            yield pod, container


# The image.


def test_the_base_is_pinned_and_nobody_is_root() -> None:
    (base,) = arguments("FROM")
    assert re.fullmatch(r"python:3\.11\.\d+-slim-\w+(@sha256:[0-9a-f]{64})?", base)
    *_, user = arguments("USER")
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)  # a number, and not root's
    last = max(number for number, (word, _) in enumerate(instructions()) if word == "RUN")
    assert last < [word for word, _ in instructions()].index("USER")
    assert f"--uid {user.partition(':')[0]} " in "\n".join(arguments("RUN"))


def test_what_is_copied_is_there_and_sent() -> None:
    kept = re.findall(r"^!(.+)$", (DOCKER / "Dockerfile.dockerignore").read_text(), re.MULTILINE)
    copied = [shlex.split(rest)[:-1] for rest in arguments("COPY")]
    assert copied
    for source in (name for names in copied for name in names):
        assert (ROOT / source).exists(), source
        assert any(fnmatch.fnmatch(source, pattern) for pattern in kept), source
    assert sorted(name for names in copied for name in names) == sorted(kept)


def test_every_installation_is_pinned() -> None:
    pins = dict(
        line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line
    )
    commands = [c.strip() for run in arguments("RUN") for c in run.split("&&") if "pip install" in c]
    assert len(commands) == 3
    for command in commands:
        assert "-c constraints.txt" in command
        for package in shlex.split(command.partition("constraints.txt")[2]):
            name, _, version = package.partition("==")
            if name in pins:
                assert version == pins[name]
            else:
                assert version or package.startswith((".[", "-e")), package


# Compose.


def test_services_are_confined() -> None:
    for name, service in SERVICES.items():
        assert service["read_only"] is True, name
        assert "no-new-privileges:true" in service["security_opt"]
        assert service["healthcheck"]["test"], name
        assert not service.get("privileged")
        assert not {"cpus", "cpu_quota", "network_mode"} & service.keys(), name
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), name
        if name != "postgres":
            assert service["cap_drop"] == ["ALL"]
            assert "user" not in service  # that of the image
            # Compiled variants load libraries that they write there.
            assert service["tmpfs"] == ["/tmp:mode=1777,exec"]
    assert SERVICES["worker"]["cpuset"]


def test_services_find_each_other() -> None:
    assert set(SERVICES) == {"postgres", "server", "worker"}
    assert SERVICES["server"]["environment"]["PREFECT_SERVER_DATABASE_HOST"] == "postgres"
    assert SERVICES["worker"]["environment"]["PREFECT_API_URL"] == "http://server:4200/api"
    for one, other in (("postgres", "server"), ("server", "worker")):
        assert set(SERVICES[one]["networks"]) & set(SERVICES[other]["networks"])
        assert SERVICES[other]["depends_on"] == {one: {"condition": "service_healthy"}}
    used = {network for service in SERVICES.values() for network in service["networks"]}
    assert used == set(COMPOSE["networks"])
    volumes = [volume for service in SERVICES.values() for volume in service.get("volumes", [])]
    (lock,) = [volume for volume in volumes if volume.startswith("$")]
    assert lock == "${PTDQ_LOCK_DIR:-lock}:/lock"
    named_here = {v.split(":")[0] for v in volumes if v != lock} | {"lock"}
    assert named_here == set(COMPOSE["volumes"])
    file = (DOCKER / SERVICES["server"]["build"]["context"]).resolve()
    assert (file / SERVICES["server"]["build"]["dockerfile"]).is_file()
    assert file == ROOT


def is_secret(name: str) -> bool:
    return name.endswith(("_PASSWORD", "_AUTH_STRING"))


def test_no_password_is_in_the_files() -> None:
    for service in SERVICES.values():
        for name, value in service["environment"].items():
            assert not is_secret(name) or re.match(r"\$\{[A-Z_]+:\?", value), name
    for _, container in containers():
        for variable in container["env"] if isinstance(container["env"], list) else []:
            assert not is_secret(variable["name"]) or "secretKeyRef" in variable["valueFrom"]
    assert named("Secret") == set()


def environment(name: str) -> dict[str, Any]:
    """Variables of a workload's container, by name."""
    (pod,) = [w["spec"]["template"]["spec"] for w in WORKLOADS if w["metadata"]["name"] == name]
    return {variable["name"]: variable for variable in pod["containers"][0]["env"]}


def test_every_server_asks_for_a_password_and_answers_no_foreign_page() -> None:
    """That a server does so with these settings is tested for real, in test_one_machine.py."""
    server, worker = (SERVICES[name]["environment"] for name in ("server", "worker"))
    assert server["PREFECT_SERVER_API_AUTH_STRING"] == worker["PREFECT_API_AUTH_STRING"]
    assert server["PREFECT_SERVER_CORS_ALLOWED_ORIGINS"] == "http://127.0.0.1:4200"
    assert worker["PTDQ_ALLOW_CODE"] == "${PTDQ_ALLOW_CODE:-}"
    asked, given = environment("prefect-server"), environment("prefect-worker")
    secret = asked["PREFECT_SERVER_API_AUTH_STRING"]["valueFrom"]["secretKeyRef"]
    assert given["PREFECT_API_AUTH_STRING"]["valueFrom"]["secretKeyRef"] == secret
    assert asked["PREFECT_SERVER_CORS_ALLOWED_ORIGINS"]["value"] == "http://127.0.0.1:4200"
    for_jobs = {
        key: given[f"PREFECT_INTEGRATIONS_KUBERNETES_WORKER_API_AUTH_STRING_SECRET_{key.upper()}"][
            "value"
        ]
        for key in ("name", "key")
    }
    assert for_jobs == secret


def test_servers_drop_old_flow_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """What each has set is what Prefect understands so."""
    name = "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED"
    for value in (SERVICES["server"]["environment"][name], environment("prefect-server")[name]["value"]):
        monkeypatch.setenv(name, value)
        assert {"events", "flow_runs"} <= ServerServicesDBVacuumSettings().enabled_vacuum_types


def test_nothing_of_the_host_is_mounted() -> None:
    deployed = [d["work_pool"]["job_variables"].get("volumes", []) for _, d in DEPLOYED]
    mounted = [*deployed, *(service.get("volumes", []) for service in SERVICES.values())]
    for volume in (volume for volumes in mounted for volume in volumes):
        assert re.match(r"[a-z_]+:/|\$\{PTDQ_LOCK_DIR:-lock\}:/", volume), volume
    for pod in PODS:
        for volume in pod["spec"]["volumes"]:
            assert volume.keys() <= {"name", "emptyDir", "persistentVolumeClaim"}


def test_pods_talk_to_those_that_they_need_and_to_nobody_else() -> None:
    policies = {m["metadata"]["name"]: m["spec"] for m in MANIFESTS if m["kind"] == "NetworkPolicy"}
    nothing = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    assert policies.pop("nothing") == nothing

    def selected(spec: dict[str, Any]) -> list[str]:
        """Names of the pods that a selector means."""
        labels = spec["podSelector"].get("matchLabels", {})
        return [
            pod["metadata"]["labels"].get("app.kubernetes.io/name", "run")
            for pod in PODS
            if labels.items() <= pod["metadata"]["labels"].items()
        ]

    into, out_of = set(), set()
    for spec in policies.values():
        for rule in spec.get("ingress", []):
            port = {entry["port"] for entry in rule["ports"]}
            into |= {(*selected(peer), *selected(spec), *port) for peer in rule["from"]}
        for rule in spec.get("egress", []):
            for peer in (peer for peer in rule.get("to", []) if "podSelector" in peer):
                port = {entry["port"] for entry in rule["ports"]}
                out_of |= {(*selected(spec), *selected(peer), *port)}
    assert into == out_of == {
        ("prefect-server", "postgres", 5432),
        ("prefect-worker", "prefect-server", 4200),
        ("run", "prefect-server", 4200),
    }  # fmt: skip
    beyond = {
        selected(spec)[0]
        for spec in policies.values()
        for rule in spec.get("egress", [])
        if "to" not in rule
    }
    assert beyond == {"prefect-server", "prefect-worker"}  # no run


def test_images_of_others_are_pinned_by_digest() -> None:
    found = images.images()
    assert {image.split(":")[0] for image in found} == {"python", "postgres"}
    ended = CliRunner().invoke(images.main)
    assert ended.exit_code == 0, ended.output
    assert all(f"pinned: {image}" in ended.output for image in found)


def test_an_image_without_a_digest_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "compose.yaml").write_text("services:\n  db:\n    image: postgres:17\n", encoding="utf-8")
    monkeypatch.setattr(images, "HERE", tmp_path)
    ended = CliRunner().invoke(images.main)
    assert ended.exit_code == 1
    assert ended.output.startswith("not pinned: postgres:17 (compose.yaml)")
    assert images.pinned(f"postgres:17@sha256:{'0' * 64}")
    assert not images.pinned("postgres:17@sha256:0")


def test_the_address_of_a_webhook_is_a_secret() -> None:
    from prefect.blocks.notifications import CustomWebhookNotificationBlock

    block = automations.webhook_block("https://chat.example/hook/T0KEN")
    assert isinstance(block, CustomWebhookNotificationBlock)
    assert "T0KEN" not in block.model_dump_json()
    request = block._build_request_args("the body", "the subject")
    assert request["url"] == "https://chat.example/hook/T0KEN"
    assert request["json"]["text"] == "the subject: the body"


# Kubernetes.


def test_the_kustomization_has_every_manifest() -> None:
    others = {"kustomization.yaml", "prefect.yaml"}
    assert {p.name for p in KUBERNETES.glob("*.yaml")} - others == set(KUSTOMIZATION["resources"])
    for manifest in MANIFESTS:
        assert {"apiVersion", "kind", "metadata"} <= manifest.keys()
        if manifest["kind"] != "Namespace":
            assert manifest["metadata"]["namespace"] == "ptdq"


def test_selectors_match() -> None:
    for workload in WORKLOADS:
        spec = workload["spec"]
        assert (
            spec["selector"]["matchLabels"].items() <= spec["template"]["metadata"]["labels"].items()
        ), workload["metadata"]["name"]
    for service in (manifest["spec"] for manifest in MANIFESTS if manifest["kind"] == "Service"):
        (pod,) = [p for p in PODS if service["selector"].items() <= p["metadata"]["labels"].items()]
        names = {port["name"] for c in pod["spec"]["containers"] for port in c["ports"]}
        assert {port["targetPort"] for port in service["ports"]} <= names
    (account,) = named("ServiceAccount")
    (binding,) = [manifest for manifest in MANIFESTS if manifest["kind"] == "RoleBinding"]
    assert binding["subjects"][0]["name"] == account
    assert binding["roleRef"]["name"] in named("Role")


def test_no_pod_has_more_rights_than_it_needs() -> None:
    for pod, container in containers():
        inherited = pod["spec"]["securityContext"]
        assert inherited["runAsNonRoot"] is True
        assert inherited["runAsUser"] > 0
        assert inherited["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        if container["image"] != POSTGRES:
            assert f"{inherited['runAsUser']}:{inherited['runAsGroup']}" == arguments("USER")[-1]
            assert "/tmp" in {mount["mountPath"] for mount in container["volumeMounts"]}
    # The one that needs the cluster's API is the worker.
    with_token = [p for p in PODS if p["spec"].get("automountServiceAccountToken") is not False]
    assert [p["spec"]["serviceAccountName"] for p in with_token] == ["prefect-worker"]


def test_volumes_and_resources_are_there() -> None:
    for pod, container in containers():
        volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
        claimed = {
            claim["metadata"]["name"]
            for workload in WORKLOADS
            for claim in workload["spec"].get("volumeClaimTemplates", [])
            if workload["spec"]["template"] is pod
        }
        assert {mount["name"] for mount in container["volumeMounts"]} <= set(volumes) | claimed
        for volume in volumes.values():
            claim = volume.get("persistentVolumeClaim", {}).get("claimName")
            assert claim is None or claim in named("PersistentVolumeClaim")
        assert {"cpu", "memory"} <= container["resources"]["requests"].keys()
        assert "memory" in container["resources"]["limits"]


def test_images_have_a_tag() -> None:
    (image,) = KUSTOMIZATION["images"]
    tagged = f"{image['newName']}:{image['newTag']}"
    assert {c["image"] for _, c in containers()} == {"ptdq", POSTGRES, "{{ image }}"}
    assert TEMPLATE["variables"]["properties"]["image"]["default"] == tagged
    assert {s["image"] for s in SERVICES.values()} == {tagged, POSTGRES}


# The job of a run.


def test_a_run_has_whole_cores_to_itself() -> None:
    (container,) = JOB_POD["spec"]["containers"]
    resources = container["resources"]
    # Guaranteed, and whole: what the static CPU manager gives exclusive cores to.
    assert resources["requests"] == resources["limits"] == {"cpu": "{{ cpus }}", "memory": "{{ memory }}"}
    variables = TEMPLATE["variables"]
    jsonschema.Draft202012Validator.check_schema(variables)
    for cpus in ("1", "16"):
        jsonschema.validate({"cpus": cpus}, variables)
    for cpus in ("500m", "1.5", "0", ""):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({"cpus": cpus}, variables)
    # Two runs never share a node. Not by the label app.kubernetes.io/name: Prefect sets it anew.
    (rule,) = JOB_POD["spec"]["affinity"]["podAntiAffinity"].values()
    assert rule[0]["labelSelector"]["matchLabels"] == JOB_POD["metadata"]["labels"]
    assert not any(label.startswith("app.kubernetes.io") for label in JOB_POD["metadata"]["labels"])


def test_every_variable_is_declared_and_used() -> None:
    used = set(re.findall(r"\{\{ (\w+) \}\}", json.dumps(TEMPLATE["job_configuration"])))
    assert used == set(TEMPLATE["variables"]["properties"])


# Deployments.

DEPLOYED = [
    (file, deployment)
    for file in sorted((ROOT / "deployments").rglob("*.yaml"))
    for content in documents(file)
    for deployment in content.get("deployments", [])
]


def test_every_deployment_says_where_results_are_stored() -> None:
    assert len(DEPLOYED) == 9
    for file, deployment in DEPLOYED:
        variables = deployment["work_pool"]["job_variables"]
        assert variables["env"]["PREFECT_RESULTS_PERSIST_BY_DEFAULT"] == "false", deployment["name"]
        assert "# Result storage: none." in file.read_text(encoding="utf-8")


def test_runs_of_every_deployment_have_a_heartbeat() -> None:
    for _, deployment in DEPLOYED:
        seconds = deployment["work_pool"]["job_variables"]["env"]["PREFECT_FLOWS_HEARTBEAT_FREQUENCY"]
        # As short as Prefect allows, and no longer than the automation expects where it is told nothing.
        assert 30 <= int(seconds) <= 180


def test_every_night_has_the_same_gates() -> None:
    gates = {
        deployment["name"]: {name: given.get(name) for name in ("min_speedup", "max_f1_drop")}
        for _, deployment in DEPLOYED
        if "nightly" in deployment["tags"]
        for given in [deployment["parameters"]]
    }
    assert set(gates) == {"nightly", "nightly-docker", "nightly-kubernetes"}
    assert all(found == {"min_speedup": 1.0, "max_f1_drop": 0.02} for found in gates.values())


def test_automations_are_of_every_flow() -> None:
    from ptdq.flows.benchmark import quantization_benchmark
    from ptdq.flows.evaluate import sharded_evaluation
    from ptdq.flows.matrix import benchmark_matrix
    from ptdq.flows.release import release
    from ptdq.flows.retention import retention

    all_of_them = (quantization_benchmark, benchmark_matrix, sharded_evaluation, release, retention)
    flows = {flow.name for flow in all_of_them}
    for automation in (automations.zombies(30), automations.notice(uuid4())):
        trigger = automation.trigger
        assert isinstance(trigger, EventTrigger)
        asked = trigger.match_related
        assert isinstance(asked, ResourceSpecification)
        for name in flows:
            run = {"prefect.resource.role": "flow", "prefect.resource.name": name}
            related = Resource({"prefect.resource.id": "prefect.flow.1", **run})
            assert asked.matches(related), name
        other = {"prefect.resource.role": "flow", "prefect.resource.name": "somebody-else's"}
        assert not asked.matches(Resource({"prefect.resource.id": "f", **other}))


@pytest.mark.parametrize("file", [DOCKER / "prefect.yaml", KUBERNETES / "prefect.yaml"])
def test_deployments_are_those_that_the_flow_takes(file: Path) -> None:
    (content,) = documents(file)
    (step,) = content["pull"]
    (workdir,) = arguments("WORKDIR")
    assert step == {"prefect.deployments.steps.set_working_directory": {"directory": workdir}}
    for deployment in content["deployments"]:
        assert deployment["entrypoint"] == ENTRYPOINT
        assert (ROOT / ENTRYPOINT.partition(":")[0]).is_file()
        assert deployment["concurrency_limit"]["limit"] == 1
        given = Parameters(**deployment["parameters"])
        assert (given.results_dir, given.cell_timeout) == ("results", 3600)
        variables = deployment["work_pool"]["job_variables"]
        if file.parent == KUBERNETES:
            assert variables.keys() <= TEMPLATE["variables"]["properties"].keys()
            jsonschema.validate(variables, TEMPLATE["variables"])
        else:
            assert variables["container_create_kwargs"]["cpuset_cpus"]
            places = [volume.rpartition(":")[2] for volume in variables["volumes"]]
            assert set(places) == {v.rpartition(":")[2] for v in SERVICES["worker"]["volumes"]}
