"""The command and docs/operations.md know each alarm by the same name."""

from gluebrake_cli import stack_alarms
from infra.runbook import RUNBOOK
from tests.infra.conftest import Synthesise
from tests.infra.template import Template


def test_the_title_of_each_alarm_is_its_name_in_the_runbook(
    synthesised: Synthesise, sweeping: Template
) -> None:
    """CloudFormation generates the names of the alarms, and no person knows those."""
    for template in (synthesised(canary="rate(1 hour)"), sweeping):
        titles = {stack_alarms.title(logical_id) for logical_id in template.resources("AWS::CloudWatch::Alarm")}
        assert titles
        assert titles <= RUNBOOK.keys()
