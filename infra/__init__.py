"""What the product stands on: the AWS resources, the deployment, and a laptop that plays AWS."""
