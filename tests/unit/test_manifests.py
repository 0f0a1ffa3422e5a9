"""Manifests from a repository: what is read, and how each thing that is wrong is told, with its line."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataapp_operator.api.dataapp import DataAppSpec
from dataapp_operator.source.manifests import Manifest, Problem, collisions, parse

HEAD = "apiVersion: dataapps.dev/v1alpha1\nkind: DataApp\nmetadata: {name: sales}\n"
PATH = "apps/sales/dataapp.yaml"


def good(text: str, path: str = PATH) -> tuple[Manifest, ...]:
    manifests, problems = parse(path, text.encode(), namespace="analytics")
    assert problems == ()
    return manifests


def bad(text: str | bytes) -> list[Problem]:
    manifests, problems = parse(PATH, text.encode() if isinstance(text, str) else text, namespace="analytics")
    assert manifests == ()
    assert problems
    assert all(len(problem.message) < 1000 for problem in problems)
    return list(problems)


def one(text: str | bytes) -> tuple[int | None, str]:
    (problem,) = bad(text)
    return problem.line, problem.message


def test_the_smallest_manifest() -> None:
    for text in (
        HEAD,
        HEAD + "spec: {}\n",
        HEAD + "spec:\n",
        "\ufeff" + HEAD,
        "---\n" + HEAD + "---\n",
        HEAD.replace("\n", "\r\n"),
    ):
        (manifest,) = good(text)
        assert (manifest.name, manifest.directory, manifest.spec) == ("sales", "apps/sales", {})
    assert good(HEAD, path="dataapp.yaml")[0].directory == "."


def test_everything_that_may_be_said_arrives_as_it_was_written() -> None:
    text = """\
apiVersion: dataapps.dev/v1alpha1
kind: DataApp
metadata:
  name: sales
  namespace: analytics
  labels: {team: "42", app.example.org/part: web}
  annotations: {example.org/contact: "me@example.org"}
spec:
  app:
    framework: streamlit
    port: 8502
    env:
    - {name: REGION, value: emea}
    - name: PASSWORD
      valueFrom: {secretKeyRef: {name: db, key: password}}
  environments:
  - {name: test, class: sandbox}
  - name: production
    release:
      bake: 10m
"""
    (manifest,) = good(text)
    assert manifest.labels == {"team": "42", "app.example.org/part": "web"}
    assert manifest.annotations == {"example.org/contact": "me@example.org"}
    assert manifest.spec["environments"][1] == {"name": "production", "release": {"bake": "10m"}}
    assert manifest.spec["app"]["port"] == 8502
    DataAppSpec.model_validate(manifest.spec)


def test_several_documents_in_one_file() -> None:
    other = HEAD.replace("sales", "stock")
    assert [(found.name, found.line) for found in good(f"{HEAD}---\n{other}")] == [("sales", 1), ("stock", 5)]
    manifests, problems = parse(
        PATH, f"{HEAD}---\nkind: Secret\napiVersion: v1\n---\n{other}".encode(), namespace="analytics"
    )
    assert [found.name for found in manifests] == ["sales", "stock"]
    assert [problem.line for problem in problems] == [5]


@pytest.mark.parametrize(
    ("spec", "line", "words"),
    [
        ("spec:\n  imgae: x\n", 5, "there is no field spec.imgae; did you mean spec.image?"),
        ("spec:\n  app:\n    frame-work: streamlit\n", 6, "did you mean spec.app.framework?"),
        ("spec:\n  environments:\n  - name: a\n    class_name: b\n", 7, "no field spec.environments[0].class_name"),
        ("spec: {flags: {}}\n", 4, "there is no field spec.flags; "),
        ("status: {}\n", 4, "status is written by the cluster"),
        ("sepc: {}\n", 4, "did you mean spec?"),
        ("spec:\n  app: {port: '80'}\n", 5, "spec.app.port is a whole number, without quotes"),
        ("spec:\n  app:\n    framework: streamlt\n", 6, "spec.app.framework is one of "),
        (
            "spec:\n  app:\n    env: [{name: A, value: 3}]\n",
            6,
            "spec.app.env[0].value must be a text: put it in quotes",
        ),
        ("spec:\n  app:\n    env: {A: b}\n", 6, "spec.app.env is a list"),
        ("spec:\n  app: streamlit\n", 5, "spec.app holds fields ("),
        ("spec:\n  app:\n    resources: {memory: 1 Gi}\n", 6, "write memory like 512Mi or 2Gi"),
        ("spec:\n  app:\n    port: 70000\n", 6, "spec.app.port: input should be less than or equal to 65535"),
        ("spec:\n  environments:\n  - class: x\n", 6, "spec.environments[0].name is missing"),
        ("spec: 3\n", 4, "spec holds fields"),
        (
            "spec:\n  source:\n    url: https://git.example.org/x.git\n    secretRef: {name: x, namespace: kube-system}\n",
            7,
            "secretRef.namespace",
        ),
    ],
)
def test_what_is_wrong_in_a_spec_is_told_with_its_line(spec: str, line: int, words: str) -> None:
    found = one(HEAD + spec)
    assert found[0] == line
    assert words in found[1]


def test_known_fields_are_those_of_the_model() -> None:
    for name, field in DataAppSpec.model_fields.items():
        wire = field.alias or name
        _, problems = parse(PATH, f"{HEAD}spec: {{{wire}: null}}\n".encode(), namespace="analytics")
        assert problems == ()


def test_several_mistakes_are_told_together_and_not_without_end() -> None:
    text = HEAD + "spec:\n  imgae: x\n  app: {port: no-number}\n"
    assert [problem.line for problem in bad(text)] == [5, 6]
    assert len(bad(HEAD + "spec:\n" + "".join(f"  x{number}: 1\n" for number in range(500)))) == 10


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("apiVersion: v1\nkind: Secret\nmetadata: {name: x}\n", "this is Secret (v1)"),
        ("apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\n", "this is ClusterRoleBinding"),
        ("apiVersion: apps.example.org/v1\nkind: DataApp\n", "this is DataApp (apps.example.org/v1)"),
        ("apiVersion: dataapps.dev/v1alpha1\nkind: EnvironmentClass\n", "this is EnvironmentClass"),
        ("apiVersion: dataapps.dev/v2\nkind: DataApp\n", "apiVersion is dataapps.dev/v1alpha1, not dataapps.dev/v2"),
        (f"apiVersion: v1\nkind: List\nitems:\n- {json.dumps({'kind': 'DataApp'})}\n", "a List is not read"),
        ("apiVersion: dataapps.dev/v1alpha1\nkind: DataAppList\nitems: []\n", "a DataAppList is not read"),
        ("apiVersion: dataapps.dev/v1alpha1\nkind: [DataApp]\n", "this is "),
        ("metadata: {name: x}\n", "kind is missing"),
        ("kind: DataApp\n", "apiVersion is missing"),
        ("- a\n- b\n", "this is no mapping of fields"),
        ("hello\n", "this is no mapping of fields"),
        ("", "it is empty"),
        ("# nothing\n---\n---\n", "it is empty"),
    ],
)
def test_only_dataapps_come_from_a_repository(text: str, words: str) -> None:
    assert words in one(text)[1]


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ("{}", "metadata.name is missing"),
        ("{name: Sales}", "small letters, digits and '-'"),
        ("{name: " + "a" * 31 + "}", "at most 30 characters"),
        ("{name: 3}", "metadata.name 3 is not allowed"),
        ("[]", "metadata holds at least the app's name"),
        ("{name: a, namespace: kube-system}", "live in the namespace analytics, not in kube-system"),
        ("{name: a, generateName: b}", "there is no field metadata.generateName"),
        ("{name: a, ownerReferences: []}", "there is no field metadata.ownerReferences"),
        ("{name: a, finalizers: []}", "there is no field metadata.finalizers"),
        ("{name: a, managedFields: []}", "metadata.managedFields is written by the cluster"),
        ("{name: a, uid: b}", "metadata.uid is written by the cluster"),
        ("{name: a, annotations: {dataapps.dev/promote: x}}", "dataapps.dev/promote cannot come from a repository"),
        ("{name: a, annotations: {reconcile.dataapps.dev/requestedAt: x}}", "cannot come from a repository"),
        ("{name: a, labels: {dataapps.dev/source: x}}", "cannot come from a repository"),
        ("{name: a, annotations: {kubectl.kubernetes.io/last-applied-configuration: x}}", "was written by kubectl"),
        ("{name: a, labels: {team: 3}}", 'metadata.labels.team must be a text: put it in quotes, like "3"'),
        ("{name: a, labels: {team: a b}}", "a label's value has at most 63"),
        ("{name: a, labels: {'a b': c}}", "is no name that Kubernetes allows"),
        ("{name: a, labels: [x]}", "metadata.labels holds names"),
    ],
)
def test_metadata_that_may_not_come_from_a_repository(metadata: str, words: str) -> None:
    assert words in one(f"apiVersion: dataapps.dev/v1alpha1\nkind: DataApp\nmetadata: {metadata}\n")[1]


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join(['*' + before] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (BOMB, 1, "anchors (&a) are not allowed"),
        (HEAD + "spec: *x\n", 4, "aliases (*x) are not allowed"),
        (HEAD + "spec:\n  <<: {image: x}\n", 5, "merge keys"),
        (HEAD + "spec: !!python/object/apply:os.system [id]\n", 4, "tags ("),
        ("%TAG ! tag:x,2000:\n---\n" + HEAD, 1, "%TAG"),
        (HEAD + "spec: {}\nspec: {}\n", 5, "the key 'spec' is here twice; the first is on line 4"),
        (HEAD + "spec:\n  app:\n    port: 1\n    port: 2\n", 7, "the key 'port' is here twice"),
        (HEAD + "spec: " + "[" * 600, 4, "nested more than 64 deep"),
        ("{" * 100_000, 1, "a key must be a plain word"),
        ("- " * 100_000, 1, "nested more than 64 deep"),
        (HEAD + "spec: {a: [" + "1," * 20_000 + "]}", 4, "more than 10000 values"),
        ("---\n{}\n" * 50, 41, "at most 20 documents"),
        (HEAD + "spec: {app: {port: " + "9" * 5000 + "}}", 4, "means different things"),
        ("a: " + "x" * (5 * 1024 * 1024), None, "a manifest has at most 1048576"),
        ("? {a: b}\n: c\n", 1, "a key must be a plain word"),
        ("1: a\n", 1, 'a key is a word: write "1" in quotes'),
        (HEAD + "spec: {a: b: c}\n", 4, "this is not valid YAML"),
        (HEAD + "spec:\n\timage: x\n", 5, "this is not valid YAML"),
        (HEAD + "spec: {", 5, "this is not valid YAML"),
        (HEAD + "spec: '\x07'\n", None, "this is not valid YAML"),
        (HEAD.encode("utf-16"), 1, "save it as UTF-8"),
        (HEAD.encode("utf-16-le"), None, "save it as UTF-8"),
        (HEAD.encode() + b"# caf\xe9\n", 4, "save it as UTF-8"),
    ],
)
def test_files_that_are_no_plain_yaml(text: str | bytes, line: int | None, words: str) -> None:
    began = time.process_time()  # how busy the machine is does not matter
    found = one(text)
    assert time.process_time() - began < 1
    assert found[0] == line
    assert words in found[1]


@pytest.mark.parametrize(
    "value",
    [
        "yes",
        "no",
        "on",
        "Off",
        "y",
        "N",
        "1:30",
        "12:30:45",
        "2020-01-01",
        "2020-01-01T10:00:00Z",
        ".nan",
        "-.inf",
        "12e4567",
        "0777",
        "0x1F",
        "0o17",
        "1_000",
        "1e3",
        "1e999",
        "=",
    ],
)
def test_what_programs_read_differently_wants_quotes(value: str) -> None:
    line, message = one(f"{HEAD}spec:\n  image: {value}\n")
    assert line == 5
    assert message == f'{value} without quotes means different things to different programs: write "{value}"'
    assert "different programs" not in bad(f'{HEAD}spec:\n  app: "{value}"\n')[0].message


@pytest.mark.parametrize(
    "value", ["1.2.3", "10.0.0.1", "v1", "a:b", "-x", "3.11-slim", "1Gi", "main", "12ab", "2026-11", "1,000"]
)
def test_plain_words_stay_words(value: str) -> None:
    (manifest,) = good(f"{HEAD}spec:\n  app:\n    env:\n    - name: A\n      value: {value}\n")
    assert manifest.spec["app"]["env"][0]["value"] == value


def test_one_name_twice_in_a_repository_stalls_both() -> None:
    first, second = good(HEAD, path="a/dataapp.yaml")[0], good("---\n" + HEAD, path="b/dataapp.yaml")[0]
    problems = collisions([first, second, good(HEAD.replace("sales", "stock"))[0]])
    assert [(found.path, found.line) for found in problems] == [("a/dataapp.yaml", 1), ("b/dataapp.yaml", 2)]
    assert "also in b/dataapp.yaml:2" in problems[0].message
    assert collisions([first]) == ()


def test_paths_that_are_one_file_on_some_computers_are_told() -> None:
    names = ("a", "b", "c", "d")
    paths = (
        "apps/Sales/dataapp.yaml",
        "apps/sales/dataapp.yaml",
        "apps/e\u0301/dataapp.yaml",
        "apps/\u00e9/dataapp.yaml",
    )
    manifests = [good(HEAD.replace("sales", name), path=path)[0] for name, path in zip(names, paths, strict=True)]
    problems = collisions(manifests)
    assert sorted(found.path for found in problems) == sorted(paths)
    assert all(found.line is None for found in problems)
    assert collisions(good(HEAD + "---\n" + HEAD.replace("sales", "stock"))) == ()


@given(st.binary(max_size=200))
def test_any_bytes_give_an_answer(data: bytes) -> None:
    manifests, problems = parse(PATH, data, namespace="analytics")
    assert manifests or problems


@given(st.text(alphabet="ab:{}[],-?&*!|>'\"%@`# \n\t<~0.", max_size=80))
def test_any_text_that_looks_like_yaml_gives_an_answer(text: str) -> None:
    manifests, problems = parse(PATH, (HEAD + "spec:\n  " + text).encode(), namespace="analytics")
    assert manifests or problems
    assert all(problem.line is None or problem.line >= 1 for problem in problems)
