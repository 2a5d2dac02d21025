"""The command line as a person and a program meet it: output, exit codes, causes on one line."""

import json
import resource
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from calcom_pipeline import local
from calcom_pipeline.cli import exit_codes
from tests.support import leaks
from tests.support.commands import bare, command, process, said, warm

HELP_CPU_SECONDS = 0.5


class TestHelp:
    def test_it_teaches_and_lists_every_exit_code(self, environment):
        done = process("--help", environment=environment)
        assert done.returncode == 0
        assert "Start here" in done.stdout
        for code, meaning in exit_codes.MEANING.items():
            assert f"{code} {meaning.split()[0]}" in " ".join(done.stdout.split())

    def test_it_answers_within_half_a_second_of_cpu(self, environment):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert process("--help", environment=environment).returncode == 0
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime) < HELP_CPU_SECONDS

    @pytest.mark.parametrize(
        "words",
        [
            ["demo"],
            ["up"],
            ["migrate"],
            ["doctor"],
            ["runs"],
            ["status"],
            ["plan"],
            ["apply"],
            ["revert"],
            ["explain"],
            ["resolve"],
            ["sync", "bookings"],
            ["sync", "services"],
            ["sandbox", "serve"],
            ["local", "env"],
            ["services", "attach"],
            ["slots"],
            ["alternatives"],
            ["first-free"],
            ["month"],
            ["hold", "start"],
        ],
        ids=" ".join,
    )
    def test_every_command_says_what_it_is_for(self, words, environment):
        done = command(*words, "--help", environment=environment)
        leaks.forget()  # `sandbox serve` publishes the keys of its recorded account
        assert done.returncode == 0
        assert len(done.stdout.splitlines()) > 4


class TestSync:
    def test_bookings_need_no_dagster_and_an_unchanged_account_costs_little_and_touches_nothing(
        self, environment, servers: local.Servers, schema_name: str
    ):
        program = (
            "import sys\nfrom calcom_pipeline.cli import main\n"
            "try: main(['sync', 'bookings', '--json'])\n"
            "finally: assert not [m for m in sys.modules if m.split('.')[0].startswith('dagster')]"
        )
        ran = subprocess.run([sys.executable, "-c", program], env=bare(environment), capture_output=True, check=True)
        first = json.loads(ran.stdout)
        second = json.loads(command("sync", "bookings", "--json", environment=environment).stdout)
        assert first["schema_version"] == 1
        assert first["results"]["bookings"]["stored"]["changes"]["added"] >= 60
        assert second["results"]["bookings"]["calls"] <= 3 + 1
        assert second["results"]["bookings"]["stored"]["changes"]["added"] == 0
        with psycopg.connect(servers.database_url) as connection:
            touched = connection.execute(
                f'SELECT count(DISTINCT xmin::text), count(*) FROM "{schema_name}".bookings'
            ).fetchone()
            before = connection.execute(f'SELECT max(xmin::text::bigint) FROM "{schema_name}".bookings').fetchone()
        assert touched is not None
        command("sync", "bookings", environment=environment)
        with psycopg.connect(servers.database_url) as connection:
            after = connection.execute(f'SELECT max(xmin::text::bigint) FROM "{schema_name}".bookings').fetchone()
        assert before == after

    def test_everything_is_one_line_a_part_in_a_pipe(self, environment):
        done = command("sync", "all", environment=environment)
        assert done.returncode == 0, done.stderr
        parts = [line.split(":")[0] for line in done.stdout.splitlines() if not line.startswith(" ")]
        assert parts == ["Services", "Event types", "Bookings", "Caches", "Slots"]
        assert "Reading all bookings (first read): " in done.stdout
        assert "calls" in done.stdout

    def test_status_tells_what_is_there(self, environment):
        command("sync", "all", environment=environment)
        told = json.loads(command("status", "--json", environment=environment).stdout)
        assert told["counts"]["bookings"] >= 60
        assert told["facts_pending"] == 0

    def test_doctor_finds_nothing_wrong_and_spends_few_calls(self, environment):
        command("migrate", environment=environment)
        done = command("doctor", "--json", environment=environment)
        findings = {f["check"]: f for f in json.loads(done.stdout)["findings"]}
        # Dagster's storage is that of all tests, and some leave dead runs in it on purpose.
        ours = {name: f["finding"] for name, f in findings.items() if not name.startswith("Dagster")}
        wrong = {name for name in ours if findings[name]["verdict"] not in ("ok", "note")}
        assert wrong == set(), ours
        assert findings["PostgreSQL"]["verdict"] == "ok"


@pytest.mark.usefixtures("no_schema")
class TestMigrate:
    def test_what_would_run_can_be_read_first(self, environment):
        shown = command("migrate", "--print", environment=environment)
        assert "CREATE TABLE bookings" in shown.stdout
        assert "0001_mirrors" in command("migrate", environment=environment).stdout
        assert "nothing applied" in command("migrate", environment=environment).stdout


class TestPlans:
    def service(self, servers: local.Servers, schema_name: str, slug: str, name: str = "Massage") -> None:
        with psycopg.connect(servers.database_url, autocommit=True) as connection:
            connection.execute(
                f'INSERT INTO "{schema_name}".services (name, slug, duration_minutes) VALUES (%s, %s, 30)', (name, slug)
            )

    def test_a_plan_is_shown_applied_by_name_explained_and_undone(self, environment, servers, schema_name, sandbox):
        environment["CALCOM_APPLY"] = "plan"
        command("migrate", environment=environment)
        self.service(servers, schema_name, "massage")
        told = json.loads(command("plan", "--json", environment=environment).stdout)
        assert (told["empty"], told["counts"]["create"]) == (False, 1)
        assert "nothing written" in command("sync", "services", environment=environment).stdout
        refused = command("apply", "--auto", environment=environment)
        assert refused.returncode == exit_codes.CONFIGURATION
        assert "CALCOM_APPLY is not auto" in said(refused)

        plan = json.loads(command("plan", "--json", environment=environment).stdout)["plan"]
        applied = json.loads(command("apply", plan, "--json", environment=environment).stdout)
        assert applied["counts"] == {"done": 1}
        again = command("apply", plan, environment=environment)
        assert (again.returncode, "is applied" in said(again)) == (exit_codes.USAGE, True)
        assert "Nothing to do" in command("plan", environment=environment).stdout
        explained = json.loads(command("explain", "1", "--json", environment=environment).stdout)
        assert explained["link"]["state"] == "linked"
        assert explained["drift"] == []
        assert (explained["last_plan"]["plan"], explained["last_write"]["kind"]) == (plan, "create")
        shown = command("explain", "1", environment=environment).stdout
        assert f"Last plan: {plan}, create, done" in shown
        assert "created as event type" in shown

        undone = json.loads(command("revert", plan, "--json", environment=environment).stdout)
        assert undone["counts"] == {"done": 1}
        hidden = json.loads(command("explain", "1", "--json", environment=environment).stdout)
        assert hidden["service"]["is_active"] is False

    def test_what_stands_in_a_service_is_no_order_to_the_terminal_and_no_markup(
        self, environment, servers, schema_name
    ):
        """Names used to reach the terminal as they are, and one with [/x] in it ended every table as a bug."""
        command("migrate", environment=environment)
        for slug in ("massage", "sl\x1b[31mug"):
            self.service(servers, schema_name, slug, name="\x1b]0;owned\x07[/x] \x9b31m\u202eMassage")
        for words in (["plan"], ["sync", "services"], ["status"], ["explain", "1"], ["explain", "2"]):
            for form in ([], ["--json"]):
                done = command(*words, *form, environment=environment)
                assert done.returncode in (exit_codes.OK, exit_codes.PARTIAL), (words, done.stderr)
                shown = done.stdout + done.stderr
                assert shown
                assert not set(shown) & set("\x1b\x07\x9b\u202e"), words

    def test_a_failure_has_its_exit_code_and_can_be_tried_again(self, environment, servers, schema_name):
        command("migrate", environment=environment)
        self.service(servers, schema_name, "good")
        with psycopg.connect(servers.database_url, autocommit=True) as connection:
            connection.execute(
                f'INSERT INTO "{schema_name}".services (name, slug, duration_minutes, description) '
                "VALUES ('Brochure', 'brochure', 30, repeat('x', 120000))"
            )
        failed = command("sync", "services", environment=environment)
        assert failed.returncode == exit_codes.PARTIAL
        assert "too large" in failed.stdout
        assert "    2 Brochure" in failed.stdout, "its name stands beside its id"
        assert "too large" in command("status", environment=environment).stdout
        explained = command("explain", "2", environment=environment).stdout
        assert "1 failures" in explained
        assert "next attempt from" in explained
        assert "Next: calcom-pipeline resolve --retry 2" in explained
        assert json.loads(command("explain", "2", "--json", environment=environment).stdout)["attempts"] == 1
        assert "tried with the next plan" in command("resolve", "2", "--retry", environment=environment).stdout

    def test_a_conflict_is_settled_by_the_side_that_is_taken(self, environment, servers, schema_name, sandbox):
        command("migrate", environment=environment)
        slug = next(e["slug"] for e in sandbox.control.account()["eventTypes"] if e["ownerId"])
        self.service(servers, schema_name, slug, "Our own title")
        command("sync", "services", environment=environment)
        conflict = json.loads(command("plan", "--json", environment=environment).stdout)
        assert conflict["counts"]["conflict"] == 1
        command("resolve", "1", "--take", "local", environment=environment)
        assert "Services: 1 changed" in command("sync", "services", environment=environment).stdout

    def test_nothing_to_do_is_never_said_of_what_needs_a_decision(self, environment, servers, schema_name, sandbox):
        command("migrate", environment=environment)
        slug = next(e["slug"] for e in sandbox.control.account()["eventTypes"] if e["ownerId"])
        self.service(servers, schema_name, slug, "Our own title")
        self.service(servers, schema_name, "nameless", "")
        command("sync", "services", environment=environment)
        done = command("plan", environment=environment)
        assert "Nothing" not in done.stdout
        assert "! 1 in conflict: " in done.stdout
        assert "! 1 refused: it has no name" in done.stdout
        assert "2 need a decision." in done.stdout
        assert "Next: calcom-pipeline explain " in done.stdout
        assert "Next: calcom-pipeline resolve --take local 1" in command("explain", "1", environment=environment).stdout
        told = json.loads(command("plan", "--service", "1", "--json", environment=environment).stdout)
        assert (told["agrees"], told["summary"]) == (False, {"decide": 1, "in_sync": 0}), "of that service alone"
        (group,) = told["groups"]
        assert (group["fate"], group["count"], group["members"][0]["name"]) == ("conflict", 1, "Our own title")

    def test_the_detailed_exit_code_is_that_of_terraform(self, environment, servers, schema_name):
        def code(*words: str, **changes: str) -> int:
            return command("plan", "--detailed-exitcode", *words, environment={**environment, **changes}).returncode

        command("migrate", environment=environment)
        assert code() == 0
        self.service(servers, schema_name, "massage")
        assert (code(), command("plan", environment=environment).returncode) == (2, 0)
        command("sync", "services", environment=environment)
        assert code() == 0
        self.service(servers, schema_name, "nameless", "")
        assert code() == 2, "a refusal is no agreement"
        assert code("--nonsense") == 1, "wrong use would be 2, which says that something changes"
        assert code(CALCOM_API_KEY="cal_wrong000000000000000000000000") == 1

    def test_after_an_apply_the_past_tense_is_used_and_services_are_named(self, environment, servers, schema_name):
        command("migrate", environment=environment)
        self.service(servers, schema_name, "massage", "Massage")
        plan = json.loads(command("plan", "--json", environment=environment).stdout)["plan"]
        shown = command("apply", plan, environment=environment).stdout
        assert "+ 1 Massage (event type " in shown
        assert "1 created." in shown
        assert "to create" not in shown

    def test_an_adopted_service_is_let_go_by_its_name_and_a_plan_by_its_own(
        self, environment, servers, schema_name, sandbox
    ):
        command("migrate", environment=environment)
        found = next(e for e in sandbox.control.account()["eventTypes"] if e["ownerId"] and not e["parentId"])
        self.service(servers, schema_name, found["slug"], "Our own title")
        command("sync", "services", environment=environment)
        undone = json.loads(command("revert", "--service", "1", "--json", environment=environment).stdout)
        assert [u["done"] for u in undone["undone"]] == [True]
        assert json.loads(command("explain", "1", "--json", environment=environment).stdout)["drift"] != []
        told = command("sync", "services", environment=environment).stdout
        assert "Services: 1 needs a decision" in told, "it agrees with nothing, so that is not said"
        assert "! 1 parked: unlinked by a revert" in told
        assert "Nothing was ever done" in said(command("revert", "--service", "77", environment=environment))

    def test_event_types_are_offered_as_services_and_become_them_when_the_plan_is_named(self, environment, sandbox):
        offering = {**environment, "CALCOM_IMPORT_POLICY": "propose"}
        command("migrate", environment=offering)
        offered = json.loads(command("plan", "--json", environment=offering).stdout)
        assert set(offered["counts"]) == {"import", "nothing"}
        command("sync", "services", environment=offering)
        assert "Nothing to do" in command("plan", environment=environment).stdout, "or they are left alone"
        again = json.loads(command("plan", "--json", environment=offering).stdout)
        applied = json.loads(command("apply", again["plan"], "--json", environment=offering).stdout)
        assert applied["counts"] == {"done": offered["counts"]["import"]}
        assert "Nothing to do" in command("plan", environment=offering).stdout

    @pytest.mark.parametrize(
        "words", [["apply", "nonesuch"], ["explain", "999"], ["revert", "nonesuch"], ["resolve", "9", "--retry"]]
    )
    def test_what_does_not_exist_is_said_on_one_line(self, words, environment):
        command("migrate", environment=environment)
        done = command(*words, environment=environment)
        assert done.returncode == exit_codes.USAGE
        assert said(done)


class TestTrouble:
    """A one-line cause and what to do, the right exit code, nothing half-written."""

    @pytest.mark.parametrize(
        ("changes", "code", "cause"),
        [
            ({"CALCOM_API_KEY": "cal_wrong000000000000000000000000"}, exit_codes.UNAUTHORIZED, "Check CALCOM_API_KEY"),
            ({"CALCOM_BASE_URL": "http://127.0.0.1:9"}, exit_codes.UNREACHABLE, "cannot be reached"),
            ({"CALCOM_BASE_URL": "http://no-such-host.invalid"}, exit_codes.UNREACHABLE, "cannot be reached"),
            ({"DATABASE_URL": "postgresql://x:pw@127.0.0.1:9/x"}, exit_codes.DATABASE, "nothing listens"),
            ({"DATABASE_URL": "nonsense"}, exit_codes.CONFIGURATION, "no address of PostgreSQL"),
            ({"CALCOM_API_KY": "x"}, exit_codes.CONFIGURATION, "did you mean CALCOM_API_KEY?"),
            ({"REDIS_URL": "nonsense"}, exit_codes.CONFIGURATION, "no address of Redis"),
            ({"CALCOM_TEAM_IDS": "424242"}, exit_codes.CONFIGURATION, "team 424242, which this key cannot see"),
            ({"CALCOM_LOCAL": "never", "REDIS_URL": ""}, exit_codes.CONFIGURATION, "REDIS_URL is not set"),
        ],
    )
    def test_a_wrong_setting_or_server(self, changes, code, cause, environment, servers, schema_name):
        fast = {"CALCOM_RETRY_DEADLINE_SECONDS": "1", "CALCOM_RETRY_ATTEMPTS": "1"}
        done = command("sync", "event-types", environment={**environment, **fast, **changes})
        assert done.returncode == code, done.stderr
        assert cause in said(done)
        assert "pw" not in done.stderr
        with psycopg.connect(servers.database_url) as connection:
            there = connection.execute("SELECT to_regclass(%s)", (f"{schema_name}.event_types",)).fetchone()
            if there and there[0]:
                rows = connection.execute(f'SELECT count(*) FROM "{schema_name}".event_types').fetchone()
                assert rows == (0,)

    @pytest.mark.usefixtures("no_schema")
    @pytest.mark.parametrize(
        ("schema_is_there", "cause", "advice"),
        [(True, "the database user may not use it", "Grant USAGE"), (False, "lacks the right", "Grant it")],
    )
    def test_a_database_user_without_rights(self, environment, servers, schema_is_there, cause, advice):
        if schema_is_there:
            command("migrate", environment=environment)
        with psycopg.connect(servers.database_url, autocommit=True) as connection:
            connection.execute(
                "DO $$ BEGIN CREATE ROLE beggar; GRANT beggar TO CURRENT_USER; "
                "EXCEPTION WHEN duplicate_object THEN NULL; END $$"
            )
        url = servers.database_url + "&options=-crole%3Dbeggar"
        done = command("sync", "bookings", environment={**environment, "DATABASE_URL": url})
        assert done.returncode == exit_codes.DATABASE, done.stderr
        assert cause in said(done)
        assert advice in said(done)

    def test_an_older_schema_wants_the_command(self, environment, servers, schema_name):
        command("migrate", environment=environment)
        with psycopg.connect(servers.database_url, autocommit=True) as connection:
            connection.execute(f'DELETE FROM "{schema_name}".schema_migrations WHERE version > 1')
        done = command("status", environment=environment)
        assert done.returncode == exit_codes.DATABASE
        assert "calcom-pipeline migrate" in said(done)

    def test_a_json_reader_gets_its_error_as_json(self, environment):
        done = command("status", "--json", environment={**environment, "CALCOM_LOCAL": "maybe"})
        told = json.loads(done.stdout)
        assert (told["schema_version"], told["error"]["kind"]) == (1, "ConfigurationError")

    def test_a_traceback_only_with_debug(self, environment):
        wrong = {**environment, "DATABASE_URL": "nonsense"}
        assert "Traceback" not in warm("status", environment=wrong).stderr
        assert "Traceback" in warm("status", "--debug", environment=wrong).stderr

    @pytest.mark.parametrize("words", [["nonsense"], ["sync", "nonsense"], ["plan", "--nonsense"], ["apply"]])
    def test_wrong_use_is_exit_code_2_with_a_usage_line(self, words, environment):
        done = command(*words, environment=environment)
        assert done.returncode == exit_codes.USAGE
        assert "Usage:" in done.stderr

    def test_the_env_file_of_the_working_folder_is_read(self, environment, tmp_path: Path):
        (tmp_path / ".env").write_text("CALCOM_ACOUNT=x\n")
        without = {k: v for k, v in environment.items() if k != "CALCOM_ENV_FILE"}
        done = command("status", environment=without, cwd=tmp_path)
        assert "did you mean CALCOM_ACCOUNT" in said(done)
