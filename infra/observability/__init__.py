"""What a Prometheus and a Grafana are given to watch the deployment with."""
