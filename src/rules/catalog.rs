//! Topology as others keep it: Backstage's catalog, Keep's topology, ServiceNow's relations, Kubernetes' recommended
//! labels. Each names services; who depends on whom is read from it, all else is left alone.
//! Source: <https://backstage.io/docs/features/software-catalog/descriptor-format>.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::decode::decode;
use super::fault::Fault;

/// Services that depend on others, by name.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Catalog {
    pub(super) edges: Vec<(String, String)>,
    /// Those that were named at all.
    pub(super) services: Vec<String>,
}

/// The documents of a file, each with the lines before it left empty, so that places stay right.
fn documents(text: &str) -> Vec<String> {
    let mut documents = vec![String::new()];
    for line in text.lines() {
        if line.trim_end() == "---" {
            let before = documents.iter().map(|d| d.lines().count()).max().unwrap_or(0);
            documents.push("\n".repeat(before + 1));
        } else if let Some(last) = documents.last_mut() {
            last.push_str(line);
            last.push('\n');
        }
    }
    let says_nothing = |line: &str| line.trim().is_empty() || line.trim_start().starts_with('#');
    documents.retain(|document| !document.lines().all(says_nothing));
    documents
}

/// What a file says, where it is of a shape that somebody else's is; none where it is to be read as ours.
pub(super) fn foreign(file: &str, text: &str) -> Option<(Catalog, Vec<Fault>)> {
    let documents = documents(text);
    // Ours is read, and found fault with, elsewhere.
    let first: Json = decode(file, documents.first()?).0?;
    let is_object = first["kind"].is_string() && first["metadata"].is_object();
    let Some(version) = first["apiVersion"].as_str().filter(|_| is_object) else { return Some((read(&first)?, vec![])) };
    let (mut entities, mut faults) = (vec![], vec![]);
    for document in &documents {
        let (entity, found) = decode::<Json>(file, document);
        entities.extend(entity);
        faults.extend(found);
    }
    let catalog = if version.starts_with("backstage.io/") { backstage(&entities) } else { kubernetes(&entities) };
    Some((catalog, faults))
}

/// One of the shapes that are one document.
fn read(document: &Json) -> Option<Catalog> {
    let text = |value: &Json| value.as_str().unwrap_or_default().to_owned();
    let mut catalog = Catalog::default();
    if let Some(services) =
        document.as_array().filter(|list| list.iter().any(|one| one["service"].is_string() && one["dependencies"].is_object()))
    {
        for service in services {
            let name = text(&service["service"]);
            let on = service["dependencies"].as_object().into_iter().flatten().map(|(on, _)| (name.clone(), on.clone()));
            catalog.edges.extend(on);
            catalog.services.push(name);
        }
    } else if let Some(relations) = document["result"].as_array().filter(|list| list.iter().all(|one| one["parent"].is_object())) {
        // The parent depends on the child where the type says so.
        let depends = relations.iter().filter(|r| text(&r["type"]["display_value"]).starts_with("Depends on"));
        catalog.edges.extend(depends.map(|r| (text(&r["parent"]["display_value"]), text(&r["child"]["display_value"]))));
    } else if document["app.kubernetes.io/name"].is_string() {
        catalog.label(document);
    } else {
        return None;
    }
    Some(catalog)
}

impl Catalog {
    /// What Kubernetes' recommended labels say of an application: the whole depends on its parts.
    fn label(&mut self, labels: &Json) {
        let Some(name) = labels["app.kubernetes.io/name"].as_str() else { return };
        self.services.push(name.to_owned());
        let whole = labels["app.kubernetes.io/part-of"].as_str().filter(|whole| *whole != name);
        self.edges.extend(whole.map(|whole| (whole.to_owned(), name.to_owned())));
    }
}

/// Manifests, or lists of such.
fn kubernetes(objects: &[Json]) -> Catalog {
    let mut catalog = Catalog::default();
    for object in objects {
        let items = object["items"].as_array().into_iter().flatten();
        std::iter::once(object).chain(items).for_each(|object| catalog.label(&object["metadata"]["labels"]));
    }
    catalog.services.sort();
    catalog.services.dedup();
    catalog.edges.sort();
    catalog.edges.dedup();
    catalog
}

/// Entities that refer to one another as `[kind:][namespace/]name`, in any case.
fn backstage(entities: &[Json]) -> Catalog {
    let text = |value: &Json| value.as_str().unwrap_or_default().to_owned();
    let mut names: BTreeMap<String, String> = BTreeMap::new();
    for entity in entities {
        let own = text(&entity["metadata"]["name"]);
        // What its metrics call it, where that is said.
        let called = entity["metadata"]["annotations"]["prometheus.io/service-name"].as_str();
        names.insert(own.to_lowercase(), called.map_or_else(|| own.clone(), str::to_owned));
    }
    let service = |reference: &str| {
        let name = reference.rsplit([':', '/']).next().unwrap_or(reference);
        names.get(&name.to_lowercase()).cloned().unwrap_or_else(|| name.to_owned())
    };
    let mut catalog = Catalog { edges: vec![], services: names.values().cloned().collect() };
    // An API, and who provides or consumes it.
    let mut providers: Vec<(String, String)> = vec![];
    let mut consumers: Vec<(String, String)> = vec![];
    for entity in entities {
        let own = service(&text(&entity["metadata"]["name"]));
        let spec = &entity["spec"];
        let list = |field: &str| spec[field].as_array().into_iter().flatten().map(text).collect::<Vec<String>>();
        catalog.edges.extend(list("dependsOn").iter().map(|on| (own.clone(), service(on))));
        catalog.edges.extend(list("dependencyOf").iter().map(|of| (service(of), own.clone())));
        catalog.edges.extend(spec["subcomponentOf"].as_str().map(|whole| (service(whole), own.clone())));
        providers.extend(list("providesApis").into_iter().map(|api| (service(&api), own.clone())));
        consumers.extend(list("consumesApis").into_iter().map(|api| (service(&api), own.clone())));
    }
    for (api, consumer) in &consumers {
        let provided = providers.iter().filter(|(provided, _)| provided == api);
        catalog.edges.extend(provided.map(|(_, provider)| (consumer.clone(), provider.clone())));
    }
    catalog
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn apis_join_who_provides_and_who_consumes_them() {
        let text = "apiVersion: backstage.io/v1alpha1\nkind: Component\nmetadata: { name: Shop, annotations: { prometheus.io/service-name: shop-svc } }\n\
                    spec: { consumesApis: [ tax-api ], dependsOn: [ 'resource:default/db' ] }\n---\n\
                    apiVersion: backstage.io/v1alpha1\nkind: Component\nmetadata: { name: tax }\nspec: { providesApis: [ 'api:tax-api' ], dependencyOf: [ component:shop ] }\n";
        let (catalog, faults) = foreign("f", text).expect("a catalog");
        assert_eq!(faults, []);
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(catalog.edges, [pair("shop-svc", "db"), pair("shop-svc", "tax"), pair("shop-svc", "tax")]);
    }

    #[test]
    fn manifests_say_of_what_they_are_part() {
        let manifest = |kind: &str, name: &str| {
            format!(
                "apiVersion: v1\nkind: {kind}\nmetadata:\n  name: x\n  labels:\n    app.kubernetes.io/name: {name}\n    \
                 app.kubernetes.io/part-of: shop\n"
            )
        };
        let text =
            [manifest("Deployment", "cart"), manifest("Service", "cart"), "kind: Secret\nmetadata: { name: y }\n".into()].join("---\n");
        let (catalog, faults) = foreign("f", &text).expect("a catalog");
        assert_eq!((catalog.services, faults), (vec!["cart".to_owned()], vec![]));
        assert_eq!(catalog.edges, [("shop".to_owned(), "cart".to_owned())]);
    }

    #[test]
    fn ours_is_not_taken_for_somebody_elses() {
        assert_eq!(foreign("f", "entities: [ { name: service=a } ]"), None);
    }
}
