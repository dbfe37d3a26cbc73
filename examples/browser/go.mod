module github.com/seed62ce5aa7/websocket/examples/browser

go 1.26.0

require (
	github.com/chromedp/chromedp v0.23.0
	github.com/seed62ce5aa7/websocket v0.0.0
	github.com/stretchr/testify v1.12.1
)

require (
	github.com/chromedp/cdproto v0.159.0 // indirect
	github.com/go-json-experiment/json v0.0.0-20260213210345-44df1a37e875 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
	golang.org/x/net v0.62.0 // indirect
	golang.org/x/text v0.43.0 // indirect
)

replace github.com/seed62ce5aa7/websocket => ../..
