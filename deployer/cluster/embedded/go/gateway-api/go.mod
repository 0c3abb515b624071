// Only for its files: the custom resource definitions of the Gateway API.
module stampchat/gateway-api

go 1.24.0

require sigs.k8s.io/gateway-api v1.6.1
