"""Which environments are asked, and after how many looks without an answer one counts as lost."""

from __future__ import annotations

import pytest
import ray

from xstat_ray.errors import PartyLostError
from xstat_ray.runtime.heartbeat import Heartbeat

pytestmark = pytest.mark.ray


@pytest.fixture
def silent(ray_folder):
    """What sends a question that is never answered: a task for which there is no node."""
    asked = []

    def ask():
        asked.append(ray.remote(lambda: None).options(label_selector={"party": "nobody"}).remote())
        return asked[-1]

    yield ask
    for ref in asked:
        ray.cancel(ref)


def test_one_that_answers_is_asked_anew_at_every_look(ray_folder):
    asked = []
    heartbeat = Heartbeat([lambda: asked.append(ray.put(1)) or asked[-1]], 2)
    for _ in range(9):
        heartbeat.look()
    assert len(set(asked)) == 9


def test_one_that_does_not_answer_is_lost_after_so_many_looks(ray_folder, silent):
    heartbeat = Heartbeat([lambda: ray.put(1), silent], 3)
    for _ in range(3):
        heartbeat.look()
    with pytest.raises(
        PartyLostError, match="has not answered for 3 s; run the same command again"
    ):
        heartbeat.look()


def test_one_that_has_ended_has_answered(ray_folder):
    @ray.remote(num_cpus=0)
    class Environment:
        def heartbeat(self):
            return None

    environment = Environment.remote()
    ray.get(environment.heartbeat.remote())
    ray.kill(environment)
    answer = environment.heartbeat.remote()
    ray.wait([answer], timeout=20)
    heartbeat = Heartbeat([lambda: answer], 1)
    for _ in range(3):
        heartbeat.look()
