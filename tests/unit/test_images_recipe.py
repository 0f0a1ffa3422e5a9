"""An image is built again exactly when something that it is made from has changed."""

import dataclasses
import os
from pathlib import Path

import pytest

from lab.image_recipe import Image, Recipe


@pytest.fixture
def source(tmp_path) -> Path:
    """A Dockerfile and an app beside it, with a hidden directory and what tools leave behind."""
    app = tmp_path / "app"
    (app / ".streamlit").mkdir(parents=True)
    (app / "__pycache__").mkdir()
    (app / "app.py").write_text("print(1)\n")
    (app / ".streamlit" / "config.toml").write_text("[server]\n")
    (app / "__pycache__" / "app.cpython-311.pyc").write_bytes(b"\0")
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    return tmp_path


@pytest.fixture
def recipe(source) -> Recipe:
    base = Image(key="aa", local="localhost/base:aa", ref="registry/base@sha256:aa")
    files = {".": source / "app"}
    return Recipe("apps/one", source / "Dockerfile", usually=1, base=base, args={"VERSION": "1"}, files=files)


def test_the_clock_does_not_matter(recipe, source):
    before = recipe.key()
    os.utime(source / "app" / "app.py", (1, 1))
    assert recipe.key() == before


def test_what_tools_leave_behind_does_not_matter(recipe, source):
    before = recipe.key()
    (source / "app" / "__pycache__" / "other.cpython-313.pyc").write_bytes(b"\1")
    assert recipe.key() == before


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("app/app.py", "print(2)\n"),
        ("app/.streamlit/config.toml", "[ui]\n"),
        ("app/new.py", ""),
        ("Dockerfile", "FROM x\n"),
    ],
)
def test_every_file_matters(recipe, source, path, text):
    before = recipe.key()
    (source / path).write_text(text)
    assert recipe.key() != before


def test_the_execute_bit_matters(recipe, source):
    before = recipe.key()
    (source / "app" / "app.py").chmod(0o755)
    assert recipe.key() != before


def test_the_base_and_the_arguments_matter(recipe):
    other = Image(key="bb", local="localhost/base:aa", ref="registry/base@sha256:aa")
    keys = {
        recipe.key(),
        dataclasses.replace(recipe, base=other).key(),
        dataclasses.replace(recipe, base=None).key(),
        dataclasses.replace(recipe, args={"VERSION": "2"}).key(),
        dataclasses.replace(recipe, others={"TOOLS": other}).key(),
        dataclasses.replace(recipe, others={"PROGRAMS": other}).key(),
    }
    assert len(keys) == 6


def test_the_same_base_from_another_registry_is_the_same(recipe):
    moved = Image(key="aa", local="elsewhere/base:aa", ref="elsewhere/base@sha256:aa")
    assert dataclasses.replace(recipe, base=moved).key() == recipe.key()


def test_the_dockerfile_is_told_where_the_images_are_that_it_stands_on(recipe):
    tools = Image(key="bb", local="localhost/tools:bb", ref="registry/tools@sha256:bb")
    both = dataclasses.replace(recipe, others={"TOOLS": tools}).arguments()
    assert both == {"VERSION": "1", "BASE": "localhost/base:aa", "TOOLS": "localhost/tools:bb"}
    assert dataclasses.replace(recipe, base=None).arguments() == {"VERSION": "1"}


def test_a_big_file_is_known_by_its_name_even_before_it_is_there(recipe, tmp_path):
    one = dataclasses.replace(recipe, big={"root.tar": tmp_path / "python-11.tar"})
    two = dataclasses.replace(recipe, big={"root.tar": tmp_path / "python-22.tar"})
    assert one.key() != two.key()


def test_the_build_sees_the_recipes_files_and_no_others(recipe, source, tmp_path):
    big = tmp_path / "root-11.tar"
    big.write_bytes(b"tar")
    missing = source / "no-such-directory"
    context = tmp_path / "context"
    context.mkdir()
    dataclasses.replace(recipe, files={**recipe.files, "ca": missing}, big={"root.tar": big}).assemble(context)
    found = {str(path.relative_to(context)) for path in context.rglob("*") if path.is_file()}
    assert found == {"app.py", ".streamlit/config.toml", "root.tar"}
    assert (context / "ca").is_dir()  # a COPY of a directory that this machine has not must not fail
    assert (context / "app.py").stat().st_mode & 0o777 == 0o644
