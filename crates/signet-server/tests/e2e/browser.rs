//! Swagger UI, used by a browser: it finds chromedriver on the path.

use std::{
    net::TcpListener,
    process::{Child, Command, Stdio},
    time::Duration,
};

use thirtyfour::prelude::*;

use crate::database::Place;

struct Driver {
    child: Child,
    port: u16,
}

impl Driver {
    fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr()).expect("a port").port();
        let mut command = Command::new("chromedriver");
        command.arg(format!("--port={port}")).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("chromedriver is missing: see make test-browser");
        let lines = signet_testkit::Lines::default();
        lines.follow(child.stdout.take().expect("piped"));
        lines.wait_for(0, |line| line.contains("started successfully").then_some(()));
        Self { child, port }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn authorize_and_try_it_out_work_on_the_running_server() -> WebDriverResult<()> {
    let place = Place::sqlite();
    let key = place.partner().key;
    let server = place.serve(&[]);
    let driver = Driver::start();
    let mut capabilities = DesiredCapabilities::chrome();
    for argument in [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--window-size=1280,2000",
    ] {
        capabilities.add_arg(argument)?;
    }
    capabilities.accept_insecure_certs(true)?;
    let browser = WebDriver::new(format!("http://127.0.0.1:{}", driver.port), capabilities).await?;
    let tried = try_out(&browser, &server.url(), &key).await;
    browser.quit().await?;
    tried?;
    let page = server.client(&key).get("/partner/v1/all-users").body;
    assert_eq!(page["data"]["users"][0]["email"], "johasdn.doe@example.com");
    Ok(())
}

async fn find(browser: &WebDriver, css: &str) -> WebDriverResult<WebElement> {
    let found = browser.query(By::Css(css)).wait(Duration::from_secs(30), Duration::from_millis(50));
    found.and_displayed().first().await
}

/// What a person does: the key into Authorize, then Execute with the example as it stands.
async fn try_out(browser: &WebDriver, url: &str, key: &str) -> WebDriverResult<()> {
    browser.goto(format!("{url}/docs")).await?;
    find(browser, ".btn.authorize").await?.click().await?;
    find(browser, ".auth-container input").await?.send_keys(key).await?;
    find(browser, ".auth-btn-wrapper .authorize").await?.click().await?;
    find(browser, ".auth-btn-wrapper .btn-done").await?.click().await?;
    find(browser, "#operations-Users-registerUser .opblock-summary-control").await?.click().await?;
    find(browser, "#operations-Users-registerUser .execute").await?.click().await?;
    let status =
        find(browser, "#operations-Users-registerUser .live-responses-table tbody .response-col_status").await?;
    let answer = find(browser, "#operations-Users-registerUser .live-responses-table .highlight-code").await?;
    assert!(status.text().await?.starts_with("201"), "{}", answer.text().await?);
    assert!(answer.text().await?.contains("User registered successfully."));
    Ok(())
}
