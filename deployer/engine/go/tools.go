//go:build tools

// Package engine pins the Pulumi command line and the SDK that carries its Python start-up file.
package engine

import (
	_ "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
	_ "github.com/pulumi/pulumi/sdk/v3/go/common/version"
)
