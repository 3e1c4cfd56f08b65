//! The simulator's pages: something is played, how far it is, and what can be done about it.

use domain::member::Role;
use web::simulator::{RunState, Sale, Step};

use crate::office::Office;

const SIMULATOR: &str = "/console/default/test/simulator";
const SHOP: &str = r#"
    connection = [{ code = "shop", provider = "generic", mode = "test", webhook_secrets = ["env:SHOP"] }]
"#;

#[tokio::test]
async fn what_can_be_played_is_chosen_by_provider() {
    let office = Office::open().await;
    let browser = office.member(Role::Developer).await;
    let page = browser.get(SIMULATOR).await;
    for words in ["What checkout is.", "What unmapped is.", "What renew is.", "Subscriptions", "AppSumo"] {
        assert!(page.says(words), "{words}: {}", page.text);
    }
    let other = browser.get(&format!("{SIMULATOR}?provider=appsumo&scenario=addon")).await;
    assert!(other.says(r#"value="addon" checked"#) && !other.says("What renew is."), "{}", other.text);
    // What is not there is not chosen.
    let elsewhere = browser.get(&format!("{SIMULATOR}?provider=appsumo&scenario=renew")).await;
    assert!(elsewhere.says(r#"value="checkout" checked"#), "{}", elsewhere.text);
}

#[tokio::test]
async fn a_run_is_begun_watched_and_gone_on_with() {
    let office = Office::open().await;
    office.apply(SHOP).await;
    let browser = office.member(Role::Developer).await;
    let form = "provider=stripe&scenario=unmapped&plan=pro&email=ada%40example.com&quantity=2";
    let run = browser.post(SIMULATOR, form).await.leads_to().to_owned();
    assert_eq!(run, format!("{SIMULATOR}/run_0"));
    let wish = office.simulator.wishes.lock().unwrap()[0].clone();
    assert_eq!((wish.plan.as_deref(), wish.quantity, wish.session.as_deref()), (Some("pro"), Some(2), None));
    assert!(wish.by.actor.starts_with("member:"), "{:?}", wish.by);
    let page = browser.get(&run).await;
    assert!(page.says("data-again") && page.says("Look again") && page.says("It is being prepared."), "{}", page.text);
    // One thing is played at a time.
    assert_eq!(browser.post(SIMULATOR, form).await.leads_to(), format!("{run}?said=played_already"));

    office.sold("1001", "gold").await;
    let connection = office.engine.connections().await.unwrap().iter().find(|one| one.code == "shop").unwrap().id;
    office.simulator.so(|run| {
        run.steps = vec![
            Step::Remark("→ POST somewhere".to_owned()),
            Step::Milestone { at_milliseconds: 7, word: "received", text: "order.paid".to_owned(), about: None },
        ];
        run.sale = Some(Sale {
            session: "cs_1".to_owned(),
            connection: (connection, "shop".to_owned()),
            reference: domain::text::Reference::new("order:1001"),
        });
        run.state = RunState::Ended(None);
    });
    let page = office.page_with(&browser, &run, "waits for you").await;
    assert!(page.says("Received") && page.says("7 ms") && page.says("is not mapped to a plan"), "{}", page.text);
    assert!(page.says("What could happen next") && page.says(r#"name="session" value="cs_1""#), "{}", page.text);

    // The price is mapped over the page, which shows the license then.
    let map = format!("/console/default/test/prices/map?connection=shop&value=gold&next={run}");
    assert!(page.says(&map.replace('&', "&#38;")), "{}", page.text);
    assert!(browser.get(&map).await.says(&format!(r#"name="next" value="{run}""#)));
    let rule = format!("connection=shop&about=price&value=gold&plan=pro&quantity=keys&next={run}");
    assert_eq!(browser.post(&map, &rule).await.leads_to(), format!("{run}?said=mapped"));
    let page = office.page_with(&browser, &run, "Open its page").await;
    assert!(page.says("pill good") && !page.says("data-again"), "{}", page.text);
    assert!(!page.says("See the key"), "a developer sees no keys");
    let owner = office.member(Role::Owner).await;
    assert!(owner.get(&run).await.says("See the key"));
    // Nobody is led elsewhere by what an address says.
    let away = rule.replace(&run, "https://evil.test/console/default/test/simulator/");
    assert_eq!(browser.post(&map, &away).await.leads_to(), "/console/default/test/prices?said=mapped");

    let next = "provider=stripe&scenario=refund&session=cs_1&email=ada%40example.com";
    assert_eq!(browser.post(SIMULATOR, next).await.leads_to(), format!("{SIMULATOR}/run_1"));
    assert_eq!(office.simulator.wishes.lock().unwrap()[1].session.as_deref(), Some("cs_1"));
    let list = browser.get(SIMULATOR).await;
    assert!(list.says("run_0") && list.says("run_1"), "{}", list.text);
    office.simulator.so(|run| run.state = RunState::Failed("The port is taken.".to_owned()));
    assert!(browser.get(&format!("{SIMULATOR}/run_1")).await.says("The port is taken."));
}

#[tokio::test]
async fn what_cannot_be_played_is_said() {
    let office = Office::open().await;
    let browser = office.member(Role::Owner).await;
    for (form, wrong) in [
        ("provider=stripe&scenario=&email=a%40b.example", "Choose what happens."),
        ("provider=stripe&scenario=checkout&quantity=0", "one at least"),
        ("provider=stripe&scenario=checkout&quantity=51", "50 at most"),
        ("provider=stripe&scenario=checkout&quantity=x", "not a whole number"),
    ] {
        let page = browser.post(SIMULATOR, form).await;
        assert!(page.status == 200 && page.says(r#"class="wrong""#) && page.says(wrong), "{form}: {}", page.text);
    }
    assert!(office.simulator.wishes.lock().unwrap().is_empty());
}

#[tokio::test]
async fn nothing_is_played_with_live_money_or_by_who_only_helps() {
    let office = Office::open().await;
    let owner = office.member(Role::Owner).await;
    let live = SIMULATOR.replace("/test/", "/live/");
    let page = owner.get(&live).await;
    assert!(page.says("Nothing is simulated with live money") && page.says(SIMULATOR), "{}", page.text);
    let form = "provider=stripe&scenario=checkout";
    assert_eq!(owner.post(&live, form).await.status, 400);
    assert_eq!(owner.post(SIMULATOR, form).await.status, 303);
    assert_eq!(owner.get(&format!("{live}/run_0")).await.status, 404);
    for role in [Role::Support, Role::Viewer] {
        let browser = office.member(role).await;
        assert_eq!(browser.post(SIMULATOR, form).await.status, 403, "{role}");
        assert!(!browser.get(SIMULATOR).await.says("Simulate it"), "{role}");
        assert_eq!(browser.get(&format!("{SIMULATOR}/run_0")).await.status, 200, "{role}");
    }
    let stranger = office.stranger().await;
    assert_eq!(stranger.get(&format!("{SIMULATOR}/run_0")).await.status, 404);
    assert_eq!(stranger.get(&SIMULATOR.replace("/default/", "/other/")).await.status, 200);
    assert_eq!(stranger.get(&format!("{}/run_0", SIMULATOR.replace("/default/", "/other/"))).await.status, 404);
}
