//! The web pages in Chromium: signing in, searching, reading, and a malicious package.

use std::process::Command;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use nuthatch_tests::{PackageBuilder, Server, framed, nuspec};

/// A PNG of one pixel.
const PIXEL: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";

const HOSTILE_NUSPEC: &str = "<title>title &lt;i&gt;</title>
    <summary>&lt;script&gt;ran=1&lt;/script&gt;</summary>
    <tags>&lt;b&gt;x onclick=ran=3</tags>
    <projectUrl>https://x.example/?a='onclick=ran=4</projectUrl>
    <icon>i.png</icon><readme>R.md</readme>
    <dependencies><group targetFramework=\"net8.0\"><dependency id=\"Acme.Many\" version=\"1.0\" />
    </group></dependencies>";

const HOSTILE_README: &str = "# Hello <script>ran=1</script>

<script>ran=1</script>

<img src=x onerror=ran=2> and <b>bold</b> [click](javascript:ran=5) <javascript:ran=6>
[data](data:text/html,<script>ran=7</script>) [ok](https://x.example) ![pixel](https://tracker.example/p.png)

<iframe src=\"https://evil.example\"></iframe> <svg onload=ran=8>

| a | b |
|---|---|
| <i onmouseover=ran=9>1</i> | 2 |

```html
<script>ran=1</script>
```
";

async fn push(server: &Server, package: PackageBuilder) {
    let (content_type, body) = framed(&package.build());
    let request = http::Request::put("/api/v2/package/")
        .header("content-type", content_type)
        .header("x-nuget-apikey", server.owner.as_deref().unwrap());
    assert_eq!(server.send(request, body).await.refusal(), "201 ");
}

#[tokio::test]
#[cfg_attr(not(has_browser), ignore = "needs Chromium, and NODE_MODULES with playwright and axe")]
async fn every_page_works_for_everybody_and_nothing_of_a_package_runs() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]);
    let pixel = BASE64_STANDARD.decode(PIXEL).unwrap();
    let hostile = nuspec("Hostile", "1.0.0", HOSTILE_NUSPEC);
    let hostile = PackageBuilder::default()
        .nuspec(&hostile.replace("For tests.", "&lt;script&gt;ran=1&lt;/script&gt; &lt;b&gt;"))
        .file("i.png", &pixel)
        .file("R.md", HOSTILE_README.as_bytes());
    push(&server, hostile).await;
    for patch in 0..110 {
        push(&server, PackageBuilder::new("Acme.Many", &format!("1.0.{patch}"))).await;
    }
    push(&server, PackageBuilder::new("Acme.Many", "2.0.0-beta")).await;
    for id in 0..25 {
        push(&server, PackageBuilder::new(&format!("Acme.P{id}"), "1.0.0")).await;
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/browser/pages.mjs");
    let output = Command::new("node")
        .arg(script)
        .env("FEED", format!("http://{}", server.address))
        .env("KEY", server.owner.as_deref().unwrap())
        .env("MODULES", std::env::var_os("NODE_MODULES").unwrap())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    print!("{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{text}");
}
