
‡ŒØalertmanager-0ŠH
…›ä˜±úªşå¢CheckoutErrorRateHighr
"
	alertnameCheckoutErrorRateHigh

clustereu1

	namespaceshop

servicecheckout

severitycritical"]
4
runbook_url%https://runbooks.example/checkout-5xx
%
summary5xx ratio 7.3% on checkout*ğ†ŒØ2àˆŒØ