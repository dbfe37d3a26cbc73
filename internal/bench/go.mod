module github.com/seed62ce5aa7/websocket/internal/bench

go 1.26.0

require (
	github.com/klauspost/compress v1.20.3
	github.com/seed62ce5aa7/websocket v0.0.0
	github.com/stretchr/testify v1.12.1
)

require go.yaml.in/yaml/v3 v3.0.5 // indirect

replace github.com/seed62ce5aa7/websocket => ../..
