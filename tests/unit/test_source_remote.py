"""What may stand where an address, a ref, a path, a host or a credential is named; everything else is refused unasked."""

import base64

import pytest

from dataapp_operator.api.code import GitRef
from dataapp_operator.api.reasons import Reason
from dataapp_operator.source.errors import HIDDEN, Redactor, SourceError, printable
from dataapp_operator.source.hosts import HostPolicy, admit
from dataapp_operator.source.paths import checked_path, checked_patterns
from dataapp_operator.source.remote import Credential, Remote, wanted

GOOD = "https://git.example.org/team/app.git"
BAD_URLS = [
    "",
    "ext::sh -c touch% /tmp/pwn",
    "fd::17/foo",
    "HTTPS::x",
    "transport::https://a",
    "--upload-pack=touch /tmp/pwn;true",
    "-oProxyCommand=touch /tmp/pwn:x",
    "ssh://-oProxyCommand=touch%20pwn/x",
    "https://-oProxyCommand=x/y",
    "ssh://git@git.example.org/x.git",
    "git@git.example.org:team/app.git",
    "git://git.example.org/x.git",
    "http://git.example.org/x.git",
    "HTTPS://git.example.org/x.git",
    "https://evil.example.org/$AWS_SECRET_ACCESS_KEY/x.git",
    "https://evil.example.org/%24{HOME}",
    "~root/x",
    "https://a%0ahost=github.com/x",
    "https://a\r/x",
    "https://git.example.org/x.git\n",
    "https://git.example.org/x\x00.git",
    "https://git.example.org\n/x.git",
    "file:///etc",
    "/proc/self/root",
    "../other",
    "\\\\host\\share",
    "https://[::ffff:127.0.0.1]/x",
    "https://[::1]/x.git",
    "https://u:S3CRET@git.example.org/x",
    "https://S3CRET@git.example.org/x",
    "https://git.example.org/x.git?token=S3CRET",
    "https://git.example.org/x.git#S3CRET",
    "https://git.example.org/",
    "https://git.example.org",
    "https:///x.git",
    "https://git..example.org/x.git",
    "https://git.example.org./x.git",
    "https://.example.org/x.git",
    "https://git-.example.org/x.git",
    "https://git.example.org:0/x.git",
    "https://git.example.org:99999/x.git",
    "https://git.example.org/../x.git",
    "https://git.example.org/a/./x.git",
    "https://git.example.org/a//x.git",
    "https://git.example.org/--upload-pack=x",
    "https://git.example.org/-x/y.git",
    "https://gıt.example.org/x.git",
    "https://" + "a" * 300 + ".org/x.git",
    "https://git.example.org/" + "x" * 3000,
]


@pytest.mark.parametrize("url", BAD_URLS)
def test_an_address_that_is_not_plain_https_is_refused_and_not_repeated(url):
    with pytest.raises(SourceError) as refused:
        Remote(url)
    assert refused.value.reason == Reason.INVALID_URL
    assert not refused.value.transient
    assert "S3CRET" not in refused.value.message
    assert "pwn" not in refused.value.message
    assert refused.value.message.isprintable()


def test_a_password_in_an_address_belongs_into_a_secret():
    with pytest.raises(SourceError, match="put them into a Secret"):
        Remote("https://u:S3CRET@git.example.org/x")


def test_the_same_repository_is_the_same_however_it_is_written():
    assert Remote("https://Git.Example.org:443/team/App.git/") == Remote("https://git.example.org/team/App.git")
    assert Remote(GOOD) != Remote(GOOD, Credential(username="u", password="p"))
    assert Remote(GOOD) != Remote("https://git.example.org:8443/team/app.git")


def test_two_credentials_do_not_share_a_mirror_and_its_name_gives_neither_away():
    remotes = [
        Remote(GOOD),
        Remote(GOOD, Credential(username="u", password="p")),
        Remote(GOOD, Credential(username="up", password="")),
        Remote(GOOD, Credential(bearer_token="p")),
        Remote(GOOD, Credential(ca="p")),
    ]
    assert len({remote.key(b"salt") for remote in remotes}) == len(remotes)
    assert remotes[1].key(b"salt") != remotes[1].key(b"other")


BAD_REFS = [
    "--upload-pack=touch /tmp/pwn;true",
    "-h",
    "a..b",
    "a~1",
    "@{-1}",
    "HEAD^{/x}",
    "a:b",
    "+x",
    "refs/../x",
    "x" * 5000,
    "a b",
    "a\nb",
    "main\n",
    "a//b",
    "a/",
    "/a",
    "a.lock",
    "a.lock/b",
    "a/.b",
    "a/-b",
    "a.",
    "$(touch pwn)",
    "*",
    "",
]


@pytest.mark.parametrize("kind", ["branch", "tag", "name"])
@pytest.mark.parametrize("text", BAD_REFS)
def test_a_ref_that_git_could_take_for_something_else_is_refused(kind, text):
    ref = GitRef.model_construct(**{"branch": None, "tag": None, "commit": None, "name": None} | {kind: text})
    with pytest.raises(SourceError) as refused:
        wanted(ref)
    assert refused.value.reason == Reason.INVALID_SPEC
    assert refused.value.message.isprintable()
    assert len(refused.value.message) < 400


@pytest.mark.parametrize("text", ["abc", "A" * 40, "a" * 39 + "\n", "-" * 40, "a" * 41, "HEAD"])
def test_a_commit_is_named_by_all_its_digits(text):
    ref = GitRef.model_construct(branch=None, tag=None, commit=text, name=None)
    with pytest.raises(SourceError, match="40 hexadecimal"):
        wanted(ref)


def test_two_refs_at_once_are_refused():
    ref = GitRef.model_construct(branch="main", tag="v1", commit=None, name=None)
    with pytest.raises(SourceError, match="not several"):
        wanted(ref)


@pytest.mark.parametrize(
    ("ref", "full"),
    [
        (GitRef(), "HEAD"),
        (GitRef(branch="main"), "refs/heads/main"),
        (GitRef(branch="refs/heads/main"), "refs/heads/refs/heads/main"),
        (GitRef(branch="feature/x-1.2+b"), "refs/heads/feature/x-1.2+b"),
        (GitRef(tag="v1.2.3"), "refs/tags/v1.2.3"),
        (GitRef(name="refs/pull/420/head"), "refs/pull/420/head"),
    ],
)
def test_a_ref_is_always_looked_for_by_its_full_name(ref, full):
    assert wanted(ref).full == full


BAD_PATHS = [
    "../../etc",
    "/etc/passwd",
    "a/../../b",
    "a\\..\\b",
    ".GIT/config",
    "a/.git",
    "a/git~1/b",
    ".g\u200cit/config",
    "%2e%2e/",
    "%2e%2e/x",
    "a/%2e%2e/x",
    "a//b",
    "a/",
    "./a",
    "a/.",
    "",
    "a\x00b",
    "a\nb",
    "\udc80",
    "/".join(["a"] * 4096),
    "x" * 600,
]


@pytest.mark.parametrize("path", BAD_PATHS)
def test_a_path_that_leads_out_of_the_repository_is_refused(path):
    with pytest.raises(SourceError) as refused:
        checked_path(path)
    assert refused.value.reason == Reason.INVALID_SPEC
    assert refused.value.message.isprintable()


@pytest.mark.parametrize(
    "path", [".", "apps/sales", "a/.github/b", ".gitignore", "a b/c", "Größe/ü", "-x", "$(touch pwn)"]
)
def test_an_ordinary_path_is_taken_as_it_is(path):
    assert checked_path(path) == path


@pytest.mark.parametrize("pattern", ["../*.yaml", "/**", "a//*", ".git/*", "**/../x", "x" * 300, "a\\*"])
def test_a_pattern_that_leads_out_of_the_repository_is_refused(pattern):
    with pytest.raises(SourceError, match="pattern"):
        checked_patterns((pattern,))


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "169.254.169.254",
        "10.0.0.1",
        "8.8.8.8",
        "2130706433",
        "127.1",
        "0x7f.1",
        "0x7f000001",
        "017700000001",
        "kubernetes",
        "localhost",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
        "git.internal",
        "x.localhost",
    ],
)
def test_a_name_that_only_means_something_inside_is_refused(host):
    policy = HostPolicy(who="ask Ada")
    with pytest.raises(SourceError, match="ask Ada") as refused:
        policy.check_name(Remote(f"https://{host}/x.git").host, 443)
    assert refused.value.reason == Reason.HOST_NOT_ALLOWED


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.169.254",
        "0.0.0.0",
        "224.0.0.1",
        "240.0.0.1",
        "::1",
        "::",
        "fe80::1",
        "fe80::1%eth0",
        "fd00::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::a00:1",
        "2002:7f00:1::",
        "ff02::1",
    ],
)
@pytest.mark.asyncio
async def test_a_public_name_that_leads_inside_is_refused(address):
    async def resolve(_host, _port):
        return ["93.184.216.34", address]

    with pytest.raises(SourceError) as refused:
        await admit(HostPolicy(), "rebind.example.org", 443, resolve)
    assert refused.value.reason == Reason.HOST_NOT_ALLOWED


@pytest.mark.asyncio
async def test_a_listed_host_may_be_inside_but_never_where_a_cloud_keeps_its_credentials():
    answers = ["10.0.0.7"]

    async def resolve(_host, _port):
        return answers

    policy = HostPolicy(allowed=("git.lab.svc", "*.corp.example"))
    assert await admit(policy, "git.lab.svc", 443, resolve) == ("10.0.0.7",)
    assert await admit(policy, "a.b.corp.example", 8443, resolve) == ("10.0.0.7",)
    with pytest.raises(SourceError):
        await admit(policy, "corp.example", 443, resolve)
    answers[:] = ["169.254.169.254"]
    with pytest.raises(SourceError, match=r"169\.254\.169\.254"):
        await admit(policy, "git.lab.svc", 443, resolve)


def test_a_listed_port_is_the_only_one():
    policy = HostPolicy(allowed=("git.lab.svc:8443",))
    policy.check_name("git.lab.svc", 8443)
    with pytest.raises(SourceError):
        policy.check_name("git.lab.svc", 443)


def test_a_closed_list_shuts_out_public_hosts_too():
    with pytest.raises(SourceError, match="not one of the git hosts"):
        HostPolicy(allowed=("git.example.org",), only=True).check_name("github.com", 443)


@pytest.mark.asyncio
async def test_a_name_without_an_address_may_have_one_later():
    async def resolve(_host, _port):
        raise OSError

    with pytest.raises(SourceError, match="has no address") as refused:
        await admit(HostPolicy(), "git.example.org", 443, resolve)
    assert refused.value.transient


def secret(**values):
    return {key.replace("_", "."): base64.b64encode(value.encode()).decode() for key, value in values.items()}


def test_a_secret_is_read_as_people_write_it():
    assert Credential.from_secret(secret(username="ada", password="pw\n")) == Credential("ada", "pw")
    assert Credential.from_secret(secret(password="pw")).header == "Basic " + base64.b64encode(b"git:pw").decode()
    assert Credential.from_secret(secret(bearerToken="tok\r\n")).header == "Bearer tok"
    assert Credential.from_secret(secret(ca_crt="-----BEGIN CERTIFICATE-----\nx")).header is None


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({}, "it is empty"),
        (secret(identity="ssh key"), "it has identity"),
        ({"a;touch /tmp/x": "eA=="}, "it has a;touch /tmp/x"),
        ({"password": "not base64!"}, "password in the Secret is not text"),
        (secret(password="a\nb"), "line break"),
        (secret(password="a\x1b[2J"), "another character"),
        (secret(username='u"\n\tinsteadOf = x', password="p"), "line break"),
        (secret(username="a:b", password="p"), "colon"),
        (secret(password="p", bearerToken="t"), "both"),
        (secret(ca_crt="MIIB"), "is not a certificate"),
    ],
)
def test_an_unusable_secret_is_named_without_its_values(data, says):
    with pytest.raises(SourceError) as refused:
        Credential.from_secret(data)
    assert refused.value.reason == Reason.CREDENTIAL_MISSING
    assert says in refused.value.message
    assert refused.value.message.isprintable()


def test_a_credential_does_not_show_in_its_representation():
    shown = repr(Remote(GOOD, Credential("ada", "S3CRET", None, "PEM")))
    assert "S3CRET" not in shown
    assert "PEM" not in shown


@pytest.mark.parametrize(
    "text",
    [
        "you said tok/en+123456",
        "you said tok%2Fen%2B123456",
        "Authorization: Basic " + base64.b64encode(b"ada:tok/en+123456").decode(),
        "basic=" + base64.b64encode(b"tok/en+123456").decode().rstrip("="),
        "x" + base64.b64encode(b"ab:tok/en+123456!").decode(),
        "https://ada:tok/en+123456@git.example.org/x",
        "remote: tok/e\nremote: n+123456",
        "tok/en\n+123456",
        "?private_token=tok/en+123456&x",
    ],
)
def test_a_secret_is_hidden_in_every_form_it_is_quoted_in(text):
    hidden = Credential("ada", "tok/en+123456").redactor(text)
    assert HIDDEN in hidden
    for form in ("tok/e", "123456", "dG9rL2VuKzEy", "Rvay9lbisxMj", "b2svZW4rMTIz"):
        assert form not in hidden


def test_innocent_words_are_not_hidden():
    assert Redactor(["tok"])("a repository") == "a repository"
    assert Redactor()("https://git.example.org/x not found") == "https://git.example.org/x not found"


def test_text_from_outside_comes_in_one_plain_line():
    assert printable("a\x1b[2Jb\r\nc\u202ed\x00") == "a[2Jb cd"
    assert len(printable("x" * 5000)) == 1024
