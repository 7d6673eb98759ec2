"""fastkafka's consumer as a peer; README.md has its command line."""

import fastkafka
from benchmarks.peers.confluent_api_reading import run

if __name__ == "__main__":
    run(fastkafka)
