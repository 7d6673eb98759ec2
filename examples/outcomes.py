"""Tell what may be sent again: a report says DELIVERED, NOT_WRITTEN or UNKNOWN.

python examples/outcomes.py HOST:PORT [TOPIC]
"""

from __future__ import annotations

import sys
from collections import Counter

from fastkafka import KafkaError, KafkaException, Message, Outcome, Producer

outcomes: Counter[Outcome | None] = Counter()
again: list[bytes] = []


def report(error: KafkaError | None, message: Message) -> None:
    """Keep what is in no log: sent again, it cannot become a duplicate."""
    outcomes[message.outcome()] += 1
    if message.outcome() is Outcome.NOT_WRITTEN:
        again.append(message.value())


def main() -> None:
    servers, topic = sys.argv[1], (sys.argv[2:] or ["examples"])[0]
    conf = {"bootstrap.servers": servers, "delivery.timeout.ms": 10_000, "on_delivery": report}
    with Producer(conf) as producer:
        try:
            producer.produce(topic, bytes(2_000_000))
        except KafkaException as problem:
            # Refused at once, by a limit of the client: message.max.bytes.
            print(problem.args[0].name(), "- may it help to repeat it?", problem.is_retriable)
        for number in range(100):
            producer.produce(topic, b"record %d" % number)
        # Given up before they left: as after an outage that lasted longer than delivery.timeout.ms.
        producer.purge(in_flight=False)
        producer.flush()
        print("the first time:", dict(outcomes))
        producer.produce_many(topic, again.copy())
        producer.flush()
    print("records that are in the log:", outcomes[Outcome.DELIVERED])


if __name__ == "__main__":
    main()
