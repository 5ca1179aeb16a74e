package gateway_test

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain fails the package if a goroutine is left after its tests.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
