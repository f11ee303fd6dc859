"""Objects that keep data elsewhere or lead there, as the API's lists have them."""

from __future__ import annotations

from typing import Any

import pytest

from provision.kubernetes.abroad import Kept, read


def volume(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "v"}, "spec": {"capacity": {"storage": "5Gi"}, **spec}}


@pytest.mark.parametrize(
    ("source", "servers"),
    [
        ({"nfs": {"server": "10.9.0.1", "path": "/x"}}, ("10.9.0.1",)),
        ({"iscsi": {"targetPortal": "10.9.0.2:3260", "iqn": "iqn.x"}}, ("10.9.0.2",)),
        ({"iscsi": {"targetPortal": "[2001:db8::1]:3260", "iqn": "iqn.x"}}, ("2001:db8::1",)),
        ({"cephfs": {"monitors": ["mon1:6789", "2001:db8::2"]}}, ("mon1", "2001:db8::2")),
        ({"awsElasticBlockStore": {"volumeID": "vol-1"}}, ("vol-1",)),
        ({"hostPath": {"path": "/srv"}}, ()),
        ({"local": {"path": "/srv"}, "nodeAffinity": {}}, ()),
    ],
)
def test_the_servers_of_a_volume(source: dict[str, Any], servers: tuple[str, ...]) -> None:
    (found,) = read([volume(**source)], [], None).volumes
    assert found == Kept("v", next(iter(source)), servers, "5Gi", "", "Retain")


def test_its_claim_and_what_becomes_of_it() -> None:
    spec = {"claimRef": {"namespace": "shop", "name": "db"}, "persistentVolumeReclaimPolicy": "Delete"}
    (found,) = read([volume(hostPath={"path": "/x"}, **spec)], [], None).volumes
    assert (found.claim, found.after) == ("shop/db", "Delete")


def test_services_that_are_names_of_others() -> None:
    here = {"metadata": {"namespace": "default", "name": "echo"}, "spec": {"clusterIP": "10.96.0.9"}}
    away = {"metadata": {"namespace": "shop", "name": "pay"}, "spec": {"externalName": "pay.example.org."}}
    assert read([], [here, away], None).external == {"shop/pay": "pay.example.org"}


def test_who_may_do_everything() -> None:
    bound = {"roleRef": {"name": "cluster-admin"}, "subjects": [{"kind": "Group", "name": "system:masters"}]}
    account = {"kind": "ServiceAccount", "namespace": "ops", "name": "robot"}
    second = {"roleRef": {"name": "cluster-admin"}, "subjects": [account]}
    other = {"roleRef": {"name": "view"}, "subjects": [{"kind": "User", "name": "x"}]}
    empty = {"roleRef": {"name": "cluster-admin"}, "subjects": None}
    assert read([], [], [bound, second, other, empty]).admins == ("Group system:masters", "ServiceAccount ops/robot")
    assert read([], [], None).admins is None
