"""confluent-kafka's consumer as a peer; README.md has its command line."""

import confluent_kafka

from benchmarks.peers.confluent_api_reading import run

if __name__ == "__main__":
    run(confluent_kafka)
